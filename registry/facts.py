"""Keeps `EntryFacts` true: every write to an entry, a version, a file or a verdict calls `refresh` in its own transaction.

Reads of the browse page are in `hub/web/browse.py`; who may see an entry is asked in `registry/queries.py` all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from registry.lifecycle import SHOWN_STATES
from registry.models import Entry, File, Version
from registry.models.facts import UNKNOWN_SIZE

BATCH = 2000
SIZES = ((1, 0, 50), (2, 50, 500), (3, 500, 2500), (4, 2500, 8000), (5, 8000, None))
"""Bands of the recommended file's size: (number, from, to) in MB of 10^6 bytes. The mark `size:3` says 500 MB to 2.5 GB."""

HOLD = """
INSERT INTO registry_entryfacts (entry_id, size_bytes, base, family, scan, marks)
SELECT id, 0, '', '', '', '{}' FROM registry_entry WHERE id = ANY(%(entries)s) ORDER BY id
ON CONFLICT (entry_id) DO UPDATE SET scan = registry_entryfacts.scan
"""
"""Makes missing rows and locks those that are there. What two writers change at once is then read by the second as the first left it."""

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
"""The order of `best` is that of `hub.web.filelist.recommended`; a test compares them. What is listed is what `queries.listed` says."""


@transaction.atomic
def refresh(entries: Iterable[int]) -> None:
    """Write the facts of these entries anew; ids of entries that are gone are passed over."""
    places = {"entries": sorted(set(entries)), "unknown": UNKNOWN_SIZE}
    if not places["entries"]:
        return
    with connection.cursor() as cursor:
        cursor.execute(HOLD, places)
        cursor.execute(REFRESH, places)


def refresh_bytes(blob_id: int) -> None:
    """The facts of every entry that has a file on these bytes: their verdict, or what is known of them, changed."""
    refresh(File.objects.filter(blob=blob_id).values_list("version__entry_id", flat=True))


def rebuild(batch: int = BATCH) -> int:
    """Write the facts of all entries anew, each batch in a transaction of its own; how many entries there are."""
    last = count = 0
    while entries := list(Entry.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:batch]):
        refresh(entries)
        last, count = entries[-1], count + len(entries)
    return count


def follow_move(sender: Any, row: Any, came_from: str | None, **_: Any) -> None:
    """A file came to be shown or ceased to be. Receives `lifecycle.moved`."""
    if isinstance(row, File) and (row.state in SHOWN_STATES or came_from in SHOWN_STATES):
        refresh(Version.objects.filter(pk=row.version_id).values_list("entry_id", flat=True))
