"""`python -m inference.diffusion FILE --prompt "a red circle" -o out.png`: a picture from safetensors, without a hub or a network."""

from __future__ import annotations

import sys

from inference.diffusion.command import main

if __name__ == "__main__":
    sys.exit(main())
