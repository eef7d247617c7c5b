"""A table of what the browse page filters and sorts by, filled from what is there; an index for the order by name."""

from typing import Any

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

HOLD = """
INSERT INTO registry_entryfacts (entry_id, size_bytes, base, family, scan, marks)
SELECT id, 0, '', '', '', '{}' FROM registry_entry WHERE id = ANY(%(entries)s) ORDER BY id
ON CONFLICT (entry_id) DO UPDATE SET scan = registry_entryfacts.scan
"""

REFRESH = """
WITH shown AS (
  SELECT v.id, v.entry_id, v.base_model, v.trigger_words, v.updated_at,
         row_number() OVER (PARTITION BY v.entry_id ORDER BY v.position, v.id DESC) AS place
  FROM registry_version v WHERE v.entry_id = ANY(%(entries)s) AND v.status = 'published' AND v.deleted_at IS NULL
), files AS (
  SELECT s.entry_id, s.place, f.id, f.role, f.recipe, f.size_bytes, f.created_at, b.verdict, b.detected,
         f.state = 'ready' AND b.stored AND NOT b.sealed
           AND (b.verdict = 'success' OR b.verdict = 'suspicious' AND b.released) AS offered,
         CASE WHEN b.container IN ('torch-zip', 'torch-legacy', 'torch-tar', 'pickle') THEN 'pickle' ELSE b.container END AS format,
         coalesce(nullif(nullif(f.recipe ->> 'precision', 'keep'), ''), b.detected ->> 'precision', '') AS precision
  FROM shown s JOIN registry_file f ON f.version_id = s.id AND f.removed_at IS NULL JOIN registry_blob b ON b.id = f.blob_id
  WHERE f.state IN ('ready', 'danger', 'quarantined')
), best AS (
  SELECT DISTINCT ON (entry_id) * FROM files
  WHERE place = 1 AND offered
    AND coalesce(CASE WHEN jsonb_typeof(recipe -> 'overflow') = 'number' THEN (recipe ->> 'overflow')::numeric END, 0) = 0
  ORDER BY entry_id, CASE format WHEN 'pickle' THEN 2 WHEN 'safetensors' THEN 0 ELSE 1 END,
    CASE coalesce(recipe ->> 'keep', 'all') || ' ' || coalesce(recipe ->> 'precision', 'keep')
      WHEN 'weights fp16' THEN 0 WHEN 'weights bf16' THEN 1 WHEN 'weights keep' THEN 2
      ELSE CASE WHEN recipe ->> 'keep' = 'ema' THEN 4 ELSE 3 END END, size_bytes, id
), proved AS (
  SELECT DISTINCT ON (entry_id) entry_id, detected ->> 'family' AS family FROM files
  WHERE place = 1 AND offered AND coalesce(detected ->> 'family', '') <> '' ORDER BY entry_id, role <> 'uploaded', id
), marked AS (
  SELECT entry_id, 'base:' || base_model AS mark FROM shown WHERE base_model <> ''
  UNION SELECT entry_id, 'has:words' FROM shown WHERE cardinality(trigger_words) > 0
  UNION SELECT entry_id, 'format:' || format FROM files WHERE offered AND format <> ''
  UNION SELECT entry_id, 'precision:' || precision FROM files WHERE offered AND precision <> ''
  UNION SELECT entry_id, 'family:' || regexp_replace(part, ' unCLIP$', '')
        FROM files, regexp_split_to_table(detected ->> 'family', ' / ') AS part WHERE offered AND part <> ''
  UNION SELECT entry_id, 'has:clean' FROM files GROUP BY entry_id HAVING bool_or(offered) AND bool_and(verdict = 'success')
  UNION SELECT et.entry_id, 'tag:' || t.name FROM registry_entry_tags et JOIN registry_tag t ON t.id = et.tag_id
        WHERE et.entry_id = ANY(%(entries)s)
  UNION SELECT entry_id, 'size:' || CASE WHEN size_bytes < 50e6 THEN 1 WHEN size_bytes < 500e6 THEN 2 WHEN size_bytes < 2500e6 THEN 3
        WHEN size_bytes < 8000e6 THEN 4 ELSE 5 END FROM best
  UNION SELECT e.id, mark FROM registry_entry e, unnest(ARRAY[
          'kind:' || e.kind, 'rating:' || e.rating,
          CASE WHEN 'Image' = ANY(e.allow_commercial_use) THEN 'may:images' END,
          CASE WHEN e.allow_commercial_use && ARRAY['Rent', 'RentCivit']::varchar[] THEN 'may:rent' END,
          CASE WHEN 'Sell' = ANY(e.allow_commercial_use) THEN 'may:sell' END,
          CASE WHEN e.allow_derivatives THEN 'may:derive' END,
          CASE WHEN e.allow_different_license THEN 'may:relicense' END]) AS mark
        WHERE e.id = ANY(%(entries)s) AND mark IS NOT NULL
), gathered AS (
  SELECT entry_id, array_agg(mark ORDER BY mark) AS marks FROM marked GROUP BY entry_id
), changed AS (
  SELECT entry_id, max(at) AS at
  FROM (SELECT entry_id, updated_at AS at FROM shown UNION ALL SELECT entry_id, created_at FROM files WHERE offered) AS moments
  GROUP BY entry_id
)
UPDATE registry_entryfacts facts SET
  version_id = first.id, file_id = best.id,
  rating = CASE WHEN e.visibility = 'public' AND e.deleted_at IS NULL AND e.live THEN e.rating END,
  published_at = coalesce(e.published_at, e.created_at), updated_at = greatest(e.updated_at, changed.at),
  size_bytes = coalesce(best.size_bytes, %(unknown)s), base = coalesce(first.base_model, ''),
  family = coalesce(left(proved.family, 80), ''),
  scan = CASE WHEN best.id IS NULL THEN '' WHEN best.verdict <> 'success' THEN 'released' WHEN best.format = 'pickle' THEN 'pickle'
         ELSE 'safe' END,
  marks = coalesce(gathered.marks, '{}')
FROM registry_entry e
  LEFT JOIN shown first ON first.entry_id = e.id AND first.place = 1 LEFT JOIN best ON best.entry_id = e.id
  LEFT JOIN proved ON proved.entry_id = e.id LEFT JOIN gathered ON gathered.entry_id = e.id LEFT JOIN changed ON changed.entry_id = e.id
WHERE facts.entry_id = e.id AND e.id = ANY(%(entries)s)
"""
"""As `registry/facts.py` was when this migration was written; it is never edited."""


def fill(apps: Any, schema_editor: Any) -> None:
    """Two thousand entries at a time."""
    entries, last = apps.get_model("registry", "Entry").objects.order_by("pk"), 0
    while batch := list(entries.filter(pk__gt=last).values_list("pk", flat=True)[:2000]):
        places = {"entries": batch, "unknown": 2**62}
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(HOLD, places)
            cursor.execute(REFRESH, places)
        last = batch[-1]



class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0012_search_vocabulary'),
    ]

    operations = [
        migrations.CreateModel(
            name='EntryFacts',
            fields=[
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='facts', serialize=False, to='registry.entry')),
                ('rating', models.PositiveSmallIntegerField(null=True)),
                ('published_at', models.DateTimeField(null=True)),
                ('updated_at', models.DateTimeField(help_text='The last change of its page, a published version, or a file of one.', null=True)),
                ('size_bytes', models.BigIntegerField(default=4611686018427387904)),
                ('base', models.CharField(blank=True, help_text='Declared by that version.', max_length=60)),
                ('family', models.CharField(blank=True, help_text='Proved by the tensors of that version.', max_length=80)),
                ('scan', models.CharField(blank=True, help_text='Of that file: safe, pickle, released; empty where there is none.', max_length=10)),
                ('marks', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, help_text='What filters ask for, as "kind:lora", "tag:landscape", "has:words".', size=None)),
            ],
            options={
                'verbose_name_plural': 'facts of entries',
            },
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(django.db.models.functions.text.Lower('name'), models.F('id'), name='entry_by_name'),
        ),
        migrations.AddField(
            model_name='entryfacts',
            name='file',
            field=models.ForeignKey(help_text='Of that version, to recommend.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='registry.file'),
        ),
        migrations.AddField(
            model_name='entryfacts',
            name='version',
            field=models.ForeignKey(help_text='The published version shown first.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='registry.version'),
        ),
        migrations.AddIndex(
            model_name='entryfacts',
            index=django.contrib.postgres.indexes.GinIndex(fields=['marks'], name='facts_marks'),
        ),
        migrations.AddIndex(
            model_name='entryfacts',
            index=models.Index(condition=models.Q(('rating__isnull', False)), fields=['-published_at', '-entry'], name='facts_newest'),
        ),
        migrations.AddIndex(
            model_name='entryfacts',
            index=models.Index(condition=models.Q(('rating__isnull', False)), fields=['-updated_at', '-entry'], name='facts_updated'),
        ),
        migrations.AddIndex(
            model_name='entryfacts',
            index=models.Index(condition=models.Q(('rating__isnull', False)), fields=['size_bytes', 'entry'], name='facts_smallest'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
