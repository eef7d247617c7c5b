"""Models for the members of a group, and drafts that are published at a chosen moment."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('registry', '0015_which_file_suits_whom'),
    ]

    operations = [
        migrations.AddField(
            model_name='entry',
            name='group',
            field=models.ForeignKey(blank=True, help_text='Who may read it where its visibility is group.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='auth.group'),
        ),
        migrations.AddField(
            model_name='version',
            name='publish_at',
            field=models.DateTimeField(blank=True, help_text='Published by itself then, or as soon afterwards as it is ready.', null=True),
        ),
        migrations.AlterField(
            model_name='entry',
            name='visibility',
            field=models.CharField(choices=[('public', 'Public: everybody finds it'), ('unlisted', 'Unlisted: only who has the link'), ('group', 'Group: only the members of one group'), ('private', 'Private: only you')], default='public', max_length=8),
        ),
        migrations.AddIndex(
            model_name='version',
            index=models.Index(condition=models.Q(('publish_at__isnull', False)), fields=['publish_at'], name='version_publish_at'),
        ),
    ]
