"""What the answers add up to: the tables of `bench.scan` as plain aligned text, and the targets that ours misses. Asks no scanner."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from bench.scan_corpus import Sample
from bench.scan_peers import OURS, Tool
from bench.scan_workers import Answer

Answers = dict[Tool, list[Answer]]
"""For each scanner that could be run, its answers in the order of the samples."""


def failed(answer: Answer) -> bool:
    """Whether the scanner hung, died, or (ours) reports that its child did or that it met a fault of its own."""
    return answer.word in ("hang", "crash") or bool({"F-SANDBOX", "F-INTERNAL"} & set(answer.codes))


def wrong(sample: Sample, answer: Answer) -> str:
    """What is wrong with our answer for this sample, in words; "" where it is as stated."""
    if failed(answer):
        return f"{answer.word} ({', '.join(answer.codes) or answer.detail or 'no answer'}) for {sample.verdict} {sample.code}".rstrip()
    if answer.word != sample.verdict:
        return f"says {answer.word} ({', '.join(answer.codes) or answer.detail or 'no code'}) for {sample.verdict} {sample.code}".rstrip()
    if sample.code and sample.code not in answer.codes:
        return f"says {answer.word} for {', '.join(answer.codes)}, and not for {sample.code}"
    return ""


def missed_targets(samples: Sequence[Sample], answers: Answers) -> list[str]:
    """Every target that ours misses, and by how much; empty where all are met."""
    missed = []
    for tool in OURS:
        pairs = list(zip(samples, answers.get(tool, []), strict=False))
        counts = Counter(
            {
                "hostile called clean": sum(sample.hostile and answer.word in tool.silent for sample, answer in pairs),
                "honest refused": sum(sample.verdict == "success" != answer.word for sample, answer in pairs),
                "crashes and hangs": sum(failed(answer) for _, answer in pairs),
                "answers that are not as stated": sum(bool(wrong(sample, answer)) for sample, answer in pairs),
            }
        )
        missed += [f"{tool.title}: {count} {what}" for what, count in counts.items() if count]
    return missed


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Lines of cells, the first `left` columns to the left and all others to the right; two blanks between."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def show(samples: Sequence[Sample], answers: Answers) -> None:
    """Print, in this order: the comparison, each scanner's own words, silence by class, and where ours is not as stated."""
    hostile = sum(sample.hostile for sample in samples)
    print(f"\n{hostile} hostile files, {len(samples) - hostile} honest ones")
    head = (
        "scanner",
        "unsafe",
        "not clean",
        "silent",
        "refused: torch",
        "refused: other",
        "hangs",
        "crashes",
        "total s",
        "median ms",
        "worst s",
        "peak RSS MB",
    )
    print(table(head, [comparison(tool, samples, given) for tool, given in answers.items()]))
    print("\nin their own words (hostile | honest)")
    for tool, given in answers.items():
        print(f"{tool.label}: {spoken(samples, given, hostile=True)} | {spoken(samples, given, hostile=False)}")
    print("\nhostile files called clean, by class")
    by_class(samples, answers)
    for tool in OURS:
        differing(tool, samples, answers.get(tool, []))


def comparison(tool: Tool, samples: Sequence[Sample], given: Sequence[Answer]) -> tuple[str, ...]:
    hostile = [answer for sample, answer in zip(samples, given, strict=True) if sample.hostile]
    honest = [
        (sample.checkpoint, answer.word not in tool.silent) for sample, answer in zip(samples, given, strict=True) if not sample.hostile
    ]
    torch, other = ([refused for checkpoint, refused in honest if checkpoint == of_torch] for of_torch in (True, False))
    seconds = [answer.seconds for answer in given]
    return (
        tool.label,
        share(sum(answer.word in tool.unsafe for answer in hostile), len(hostile)),
        share(sum(answer.word not in tool.silent for answer in hostile), len(hostile)),
        str(sum(answer.word in tool.silent for answer in hostile)),
        share(sum(torch), len(torch)),
        share(sum(other), len(other)),
        str(sum(answer.word == "hang" for answer in given)),
        str(sum(answer.word == "crash" for answer in given)),
        f"{sum(seconds):.1f}",
        f"{statistics.median(seconds) * 1000:.1f}",
        f"{max(seconds):.2f}",
        f"{max(answer.rss_kb for answer in given) / 1024:.0f}",
    )


def share(count: int, whole: int) -> str:
    return f"{count} ({count / whole:.1%})" if whole else "-"


def spoken(samples: Sequence[Sample], given: Sequence[Answer], *, hostile: bool) -> str:
    counts = Counter(answer.word for sample, answer in zip(samples, given, strict=True) if sample.hostile == hostile)
    return ", ".join(f"{word} {count}" for word, count in counts.most_common()) or "none"


def by_class(samples: Sequence[Sample], answers: Answers) -> None:
    from tests.attacks.catalogue import CLASSES

    rows = []
    for klass in sorted({sample.klass for sample in samples if sample.hostile}):
        of_class = [number for number, sample in enumerate(samples) if sample.klass == klass]
        silent = [sum(given[number].word in tool.silent for number in of_class) for tool, given in answers.items()]
        rows.append((f"{klass:>2} {CLASSES[klass]}", str(len(of_class)), *(str(count or ".") for count in silent)))
    print(table(("class", "files", *(tool.title for tool in answers)), rows))


def differing(tool: Tool, samples: Sequence[Sample], given: Sequence[Answer]) -> None:
    """Print by title every file of which ours says something else than is stated."""
    if not given:
        return
    lines = [(sample, problem) for sample, answer in zip(samples, given, strict=True) if (problem := wrong(sample, answer))]
    print(f"\n{tool.title}: " + ("every answer is as stated" if not lines else f"{len(lines)} answers are not as stated"))
    for sample, problem in lines:
        print(f"  {'attack' if sample.hostile else 'honest file'} {sample.title}: {problem}")
