"""One branch names one version of an entry. A step of its own: PostgreSQL alters no table that the same transaction filled."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0005_commits_and_branches"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="version",
            constraint=models.UniqueConstraint(fields=("entry", "branch"), name="version_branch"),
        ),
    ]
