"""`./weigh manage compile_renderer VERSION`: compiles the UNet of a checkpoint's kind for previews of one size, into WEIGH_RENDER_COMPILE.

The compiler runs in a process of its own that is told the configuration alone: no byte of any upload, no secret of this hub.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference import renderfiles, renders
from registry.formats.errors import FormatError
from registry.models import Version

PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "CXX")


class Command(BaseCommand):
    help = "Compile the renderer for models built like this version's. It takes minutes; the code is used where it was measured to pay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", type=int, help="Id of a version that is a checkpoint.")
        parser.add_argument("--size", default="", help="Of the pictures, WxH; without it what the family was made for.")
        parser.add_argument("--tokens", type=int, default=77, help="Of the prompts: 77 for each chunk.")
        parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="")

    def handle(self, *, version: int, size: str, tokens: int, device: str, dtype: str, **_: Any) -> None:
        if not settings.RENDER_COMPILE:
            raise CommandError("WEIGH_RENDER_COMPILE names no folder for compiled code.")
        found = Version.objects.select_related("entry__owner").filter(pk=version).first()
        if found is None:
            raise CommandError(f"There is no version {version}.")
        try:
            built = renderfiles.architecture(renderfiles.of_version(found), renders.prediction_of(found))
        except FormatError as refusal:
            raise CommandError(refusal.sentence) from refusal
        if built.is_flow:
            raise CommandError("SD 3 and Flux are not compiled: only UNets are.")
        width, _, height = (size or f"{built.native_size}x{built.native_size}").partition("x")
        if not (width.isdecimal() and height.isdecimal()) or int(width) % 8 or int(height) % 8:
            raise CommandError("A size is written 512x768, in multiples of 8.")
        Path(settings.RENDER_COMPILE).mkdir(parents=True, exist_ok=True)
        orders = ["--device", device, "--dtype", dtype or ("float16" if device == "cuda" else "float32"), "--tokens", str(tokens)]
        orders += ["--size", f"{int(width) // 8}x{int(height) // 8}", "--threads", str(settings.RENDER_THREADS or 1)]
        self.stdout.write(_compiled([settings.RENDER_COMPILE, json.dumps(built.unet), *orders]))


def _compiled(orders: list[str]) -> str:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    command = [sys.executable, "-m", "inference.diffusion.compiling", *orders]
    made = subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    if made.returncode:
        raise CommandError(f"The compiler failed: {made.stderr[-2000:]}")
    return made.stdout.strip()
