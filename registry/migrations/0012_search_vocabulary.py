"""Words that mend typing errors, and by which rules an entry was indexed: what older rules made is renewed while the hub runs."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0011_what_people_say_and_keep'),
    ]

    operations = [
        migrations.CreateModel(
            name='SearchWord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.CharField(max_length=40)),
            ],
        ),
        migrations.AddField(
            model_name='entry',
            name='search_rules',
            field=models.PositiveSmallIntegerField(default=0, editable=False, help_text='Number of the rules that made `search`.'),
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(fields=['search_rules', 'id'], name='entry_search_rules'),
        ),
        migrations.AddIndex(
            model_name='searchword',
            index=models.Index(fields=['word'], name='searchword_word'),
        ),
        migrations.AddIndex(
            model_name='searchword',
            index=django.contrib.postgres.indexes.GinIndex(fields=['word'], name='searchword_trgm', opclasses=['gin_trgm_ops']),
        ),
    ]
