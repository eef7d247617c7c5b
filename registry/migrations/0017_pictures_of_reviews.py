"""A review may show an image that its author attached to the same version."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0016_groups_and_schedule"),
    ]

    operations = [
        migrations.AddField(
            model_name="review",
            name="image",
            field=models.ForeignKey(
                blank=True,
                help_text="Of its author, attached to the same version.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.userimage",
            ),
        ),
    ]
