"""A table for the digests of tensors, and of the parts of a model that they make up."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0002_released_blobs"),
    ]

    operations = [
        migrations.CreateModel(
            name="TensorDigests",
            fields=[
                (
                    "blob",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="tensor_digests",
                        serialize=False,
                        to="registry.blob",
                    ),
                ),
                ("packed", models.BinaryField(help_text="gzip of {name: 32 hexadecimal digits} as JSON")),
                (
                    "unet",
                    models.CharField(
                        blank=True,
                        help_text="Of the diffusion model; empty where there is none, or nothing is known.",
                        max_length=64,
                    ),
                ),
                ("vae", models.CharField(blank=True, max_length=64)),
                ("te", models.CharField(blank=True, help_text="Of all text encoders together.", max_length=64)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("unet", ""), _negated=True), fields=["unet"], name="digests_unet"),
                    models.Index(condition=models.Q(("vae", ""), _negated=True), fields=["vae"], name="digests_vae"),
                    models.Index(condition=models.Q(("te", ""), _negated=True), fields=["te"], name="digests_te"),
                ],
            },
        ),
    ]
