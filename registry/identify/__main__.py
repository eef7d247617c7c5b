"""`python -m registry.identify FILE [--json] [--fits CHECKPOINT]`: what a file of weights is, or whether it fits; reads headers only.

Exit codes: 0 answered (with --fits: it fits), 1 the file cannot be read or understood, 2 wrong arguments, 3 it does not fit, 4 that
cannot be told. Pickles are never opened: `--directory FILE.json` (or "-") takes what the scanner prints of them with `--tensors`.
"""

from __future__ import annotations

import argparse
import json
import sys

from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.detect import identify
from registry.identify.fitting import fits
from registry.identify.opening import open_directory, open_file
from registry.identify.words import fit_report, report

FIT_CODES = {True: 0, False: 3, None: 4}


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        return _answer(options)
    except FormatError as error:
        print(f"{error.code}: {error.sentence}", file=sys.stderr)
    except OSError as error:
        print(f"The file cannot be opened: {error.strerror or error}", file=sys.stderr)
    return 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m registry.identify", description="Says what a file of weights is, from its header alone."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", help="a safetensors file")
    what.add_argument("--directory", metavar="FILE.json", help="a tensor directory, or a scan report that holds one; - for standard input")
    parser.add_argument("--fits", metavar="CHECKPOINT", help="say whether the file can be used with this checkpoint (safetensors or .json)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser.parse_args(arguments)


def _answer(options: argparse.Namespace) -> int:
    directory = open_directory(options.directory) if options.directory else open_file(options.file)
    if options.fits:
        fit = fits(directory, open_file(options.fits))
        print(json.dumps(fit.to_json(), indent=1) if options.json else fit_report(fit))
        return FIT_CODES[fit.fits]
    found = identify(directory)
    print(json.dumps(found.to_json(), indent=1) if options.json else printable_lines(report(found)))
    return 0


def printable_lines(text: str) -> str:
    """The same lines without anything that a terminal would obey."""
    return "\n".join(printable(line, 400) for line in text.split("\n"))


if __name__ == "__main__":
    sys.exit(main())
