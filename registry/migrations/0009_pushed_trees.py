"""What pushes need: files that left their version and stay in older trees, entries that describe themselves, a count of their texts."""

import django.db.models.manager
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0006_branches_are_unique"),
    ]

    operations = [
        migrations.AlterModelOptions(name="file", options={"base_manager_name": "objects", "default_manager_name": "kept", "ordering": ["id"]}),
        migrations.AlterModelManagers(
            name="file",
            managers=[("objects", django.db.models.manager.Manager()), ("kept", django.db.models.manager.Manager())],
        ),
        migrations.AddField(
            model_name="entry",
            name="by_push",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Made by a push, and nobody has described it by hand yet: its kind comes from its files, its words from their README.",
            ),
        ),
        migrations.AddField(
            model_name="entry",
            name="text_bytes",
            field=models.PositiveBigIntegerField(default=0, editable=False, help_text="Bytes of texts and small pictures that were pushed."),
        ),
        migrations.AddField(
            model_name="file",
            name="removed_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When a push took it out of its version; older trees keep it.", null=True
            ),
        ),
        migrations.RemoveConstraint(model_name="file", name="file_name_in_version"),
        migrations.AddConstraint(
            model_name="file",
            constraint=models.UniqueConstraint(
                condition=models.Q(models.Q(("state", "failed"), _negated=True), ("removed_at", None)),
                fields=("version", "name"),
                name="file_name_in_version",
            ),
        ),
    ]
