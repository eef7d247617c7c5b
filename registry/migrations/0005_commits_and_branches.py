"""Tables for frozen trees, and a branch for every version: the ones that are there get theirs from their names, oldest first."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from registry.branches import branch_name


def name_branches(apps, schema_editor):
    Version = apps.get_model("registry", "Version")
    taken = {}
    for pk, entry_id, name in Version.objects.order_by("id").values_list("pk", "entry_id", "name").iterator(2000):
        used = taken.setdefault(entry_id, set())
        branch = branch_name(name, used)
        used.add(branch)
        Version.objects.filter(pk=pk).update(branch=branch)


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0004_base_answers"),
    ]

    operations = [
        migrations.CreateModel(
            name="Commit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha", models.CharField(max_length=40, unique=True)),
                ("title", models.CharField(max_length=200)),
                ("message", models.TextField(blank=True)),
                ("tree", models.JSONField(default=list)),
                ("stamp", models.CharField(blank=True, help_text="Digest of what the hub made it from; equal stamps need no new commit.", max_length=64)),
                ("open", models.BooleanField(default=True, help_text="Everything in it could be downloaded when it was made: readers may see it.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("author", models.ForeignKey(blank=True, help_text="Empty: the hub itself.", null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("parent", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="registry.commit")),
                ("version", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="commits", to="registry.version")),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["version", "-id"], name="commit_newest")],
            },
        ),
        migrations.CreateModel(
            name="CommitTag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("message", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("commit", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="tags", to="registry.commit")),
                ("entry", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="commit_tags", to="registry.entry")),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("entry", "name"), name="commit_tag_name")],
            },
        ),
        migrations.CreateModel(
            name="SmallFile",
            fields=[
                ("oid", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("size_bytes", models.PositiveIntegerField()),
                ("content", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.AddField(
            model_name="file",
            name="path",
            field=models.CharField(blank=True, help_text="Where it lies in its repository; empty: at the top, under its name.", max_length=255),
        ),
        migrations.AddField(
            model_name="version",
            name="branch",
            field=models.CharField(default="", editable=False, help_text="Its name where programs speak of branches; never changes.", max_length=80),
            preserve_default=False,
        ),
        migrations.RunPython(name_branches, migrations.RunPython.noop),
    ]
