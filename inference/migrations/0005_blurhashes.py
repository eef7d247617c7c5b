"""A BlurHash for every picture; those that are there get theirs by and by."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("inference", "0004_preview_plans"),
    ]

    operations = [
        migrations.AddField(
            model_name="picture",
            name="blurhash",
            field=models.CharField(blank=True, default="", help_text="A blurred stand-in of about 28 characters; empty until it is known.", max_length=60),
        ),
    ]
