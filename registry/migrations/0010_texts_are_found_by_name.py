"""An index that finds the trees in which a text lies: texts that are in none are forgotten."""

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0009_pushed_trees"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="commit",
            index=GinIndex(fields=["tree"], name="commit_tree", opclasses=["jsonb_path_ops"]),
        ),
    ]
