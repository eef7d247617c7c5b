"""The questions that rules are made of: is there such a name, such a shape, such a word in the metadata? Each answers with its evidence.

A condition looks at facts and changes nothing; rules combine conditions and say what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from registry.identify.facts import Facts, quoted

SHAPES, NAMES, METADATA = "shapes", "names", "metadata"
"""What a piece of evidence rests on, the strongest first."""


class Evidence(NamedTuple):
    """One line that a reader can check against the file, and what it rests on."""

    text: str
    by: str


Condition = Callable[[Facts], Evidence | None]
"""Looks at the facts; gives the evidence, or None where it does not hold."""


def has(name: str) -> Condition:
    """A tensor of exactly this name."""
    return lambda facts: Evidence(facts.quote(name), NAMES) if name in facts.shapes else None


def starts(*prefixes: str) -> Condition:
    """Any tensor whose name starts with one of these."""

    def look(facts: Facts) -> Evidence | None:
        found = next((name for prefix in prefixes if (name := facts.first(prefix)) is not None), None)
        return Evidence(facts.quote(found), NAMES) if found else None

    return look


def ends(*endings: str) -> Condition:
    """Any tensor whose name ends with one of these, which `facts.WATCHED` must hold."""

    def look(facts: Facts) -> Evidence | None:
        found = next((facts.endings[ending] for ending in endings if ending in facts.endings), None)
        return Evidence(facts.quote(found), NAMES) if found else None

    return look


def size(name: str, axis: int, *wanted: int) -> Condition:
    """A tensor of this name whose dimension `axis` is one of `wanted`."""

    def look(facts: Facts) -> Evidence | None:
        shape = facts.shapes.get(name)
        fits = shape is not None and -len(shape) <= axis < len(shape) and shape[axis] in wanted
        return Evidence(facts.quote(name), SHAPES) if fits else None

    return look


def ndim(name: str, wanted: int) -> Condition:
    """A tensor of this name with so many dimensions."""
    return lambda facts: Evidence(facts.quote(name), SHAPES) if len(facts.shapes.get(name, ())) == wanted else None


def width(names: Iterable[str], *wanted: int) -> Condition:
    """Dimension 1 of the first of `names` that the file has and that says it is one of `wanted`; none wanted: it is known at all."""
    names = tuple(names)

    def look(facts: Facts) -> Evidence | None:
        for name in names:
            shape = facts.shapes.get(name, ())
            if len(shape) > 1 and shape[1]:
                return Evidence(facts.quote(name), SHAPES) if not wanted or shape[1] in wanted else None
        return None

    return look


def adapts(role: str) -> Condition:
    """Any adapter whose factors have this role (`adapternames.ROLES`)."""
    return lambda facts: Evidence(quoted(*facts.roles[role]), NAMES) if role in facts.roles else None


def adapts_with(role: str, dimensions: int, text: str) -> Condition:
    """The same for a tensor of so many dimensions; `text` says what that means."""

    def look(facts: Facts) -> Evidence | None:
        name, shape = facts.roles.get(role, ("", ()))
        return Evidence(f"{quoted(name, shape)}: {text}", SHAPES) if name and len(shape) == dimensions else None

    return look


def reaches(limit: int, *names: str) -> Condition:
    """One of the numbered modules `names` has a number of `limit` or more."""

    def look(facts: Facts) -> Evidence | None:
        found = next((name for name in names if facts.highest.get(name, -1) >= limit), None)
        return Evidence(f"block {facts.highest[found]} of {facts.originals[found]}", NAMES) if found else None

    return look


def deep(limit: int) -> Condition:
    """An adapted UNet block with at least `limit` transformers in it."""
    return lambda facts: Evidence(f"{facts.depth} transformers in one block", NAMES) if facts.depth >= limit else None


def few_tensors(limit: int) -> Condition:
    """At most `limit` tensors in the file."""
    return lambda facts: Evidence(f"{facts.tensors} tensors in all", NAMES) if 0 < facts.tensors <= limit else None


def any_name(fits: Callable[[str, tuple[int, ...]], bool]) -> Condition:
    """The first tensor, by name, that `fits`: for what no exact name or prefix can say. It is asked of the first thousand names."""

    def look(facts: Facts) -> Evidence | None:
        found = next((name for name in facts.names[:1000] if fits(name, facts.shapes[name])), None)
        return Evidence(facts.quote(found), SHAPES) if found else None

    return look


def lacks(condition: Condition, text: str) -> Condition:
    """Holds where `condition` does not; `text` says so."""
    return lambda facts: Evidence(f"no {text}", NAMES) if condition(facts) is None else None


def either(*conditions: Condition) -> Condition:
    """The first of several conditions that holds."""

    def look(facts: Facts) -> Evidence | None:
        return next((evidence for condition in conditions if (evidence := condition(facts)) is not None), None)

    return look


def both(*conditions: Condition) -> Condition:
    """Several conditions at once; the evidence is the first one's."""

    def look(facts: Facts) -> Evidence | None:
        found = [condition(facts) for condition in conditions]
        return found[0] if None not in found else None

    return look


def claims(key: str, *prefixes: str) -> Condition:
    """Metadata whose value under `key` starts with one of `prefixes`, in any case."""
    lowered = tuple(prefix.lower() for prefix in prefixes)

    def look(facts: Facts) -> Evidence | None:
        value = facts.metadata.get(key, "")[:200]
        return Evidence(f"{key} = {value[:80]}", METADATA) if value.lower().startswith(lowered) else None

    return look


def silent(key: str) -> Condition:
    """Metadata without a value under `key`."""
    return lambda facts: None if facts.metadata.get(key) else Evidence(f"no {key}", METADATA)


def once(key: str, condition: Condition) -> Condition:
    """The same condition, looked at once a file: for what many rows ask and is dear."""

    def look(facts: Facts) -> Evidence | None:
        if key not in facts.answers:
            facts.answers[key] = condition(facts)
        found: Evidence | None = facts.answers[key]
        return found

    return look
