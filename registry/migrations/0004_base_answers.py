"""A table for declarations that creators keep although tensors prove something else."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0003_tensor_digests"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeptDeclaration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("about", models.CharField(choices=[("base_model", "base model"), ("kind", "kind")], max_length=10)),
                ("declared", models.CharField(max_length=60)),
                ("detected", models.CharField(help_text="The family or kind that the tensors prove.", max_length=60)),
                ("reason", models.CharField(help_text="Visitors read it.", max_length=500)),
                ("created_at", models.DateTimeField(auto_now=True)),
                ("by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("version", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="kept", to="registry.version")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("version", "about", "declared", "detected"), name="kept_once")],
            },
        ),
    ]
