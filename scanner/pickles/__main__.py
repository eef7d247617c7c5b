"""`python -m scanner.pickles FILE [--json] [--tensors]`: one file, one JSON object; exit 0 success, 1 suspicious, 2 danger, 3 error.

It scans in this process; `scanner.run` is the sandboxed way that the hub takes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys

from scanner.pickles import EXIT_CODES, scan


def main(arguments: list[str] | None = None) -> int:
    """Print the report of one file and return the exit code of its verdict."""
    parser = argparse.ArgumentParser(prog="python -m scanner.pickles", description="Says whether loading a weight file could run code.")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="one compact line instead of indented text")
    parser.add_argument("--tensors", action="store_true", help="also print where every tensor lies")
    options = parser.parse_args(arguments)
    gc.disable()  # one short life: looking for cycles among a million values would take most of it
    try:
        with open(options.file, "rb") as file:
            report = scan(file.fileno(), name=os.path.basename(options.file))
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=sys.stderr)
        return EXIT_CODES["error"]
    print(json.dumps(report.to_json(tensors=options.tensors), indent=None if options.json else 2))
    return EXIT_CODES[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
