"""`python -m registry.identify FILE.safetensors`: what a file is, as JSON. For pickles, ask the scanner for their directory first."""

from __future__ import annotations

import json
import sys

from registry.formats.errors import FormatError
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from registry.identify.detect import identify


def main(path: str) -> int:
    try:
        with open(path, "rb") as file:
            detection = identify(read_safetensors(Window(file.fileno())))
    except FormatError as error:
        print(f"{error.code}: {error.sentence}", file=sys.stderr)
        return 1
    print(json.dumps(detection.to_json(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
