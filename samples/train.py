"""Makes the whole sample family from nothing: `python -m samples.train [--work FOLDER] [--out FOLDER] [--only PART ...]`.

Two processes of one thread each: first together on the autoencoder, then on UNet and text encoder, then side by side on what is built
upon them. What each part leaves stays in the work folder, so that a part can be made again alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "2000000000")  # the processes keep freed memory instead of asking for it at each step
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "4000000000")

from samples.build import HERE
from samples.training import files, first_stage, second_stage, variants
from samples.training.pair import PROCESSES, run_pair

VAE_STEPS, UNET_STEPS, PICTURES = 1000, 1500, 8000
SIDES: tuple[tuple[tuple[Callable[[Path, int], None], int], ...], ...] = (
    ((variants.neon, 360), (variants.crisp, 170)),
    ((variants.sticker, 270), (variants.old_print, 190), (variants.winterday, 110)),
)
"""What either process makes at the end, and in how many steps."""


def autoencoder(work: Path) -> None:
    run_pair(first_stage.train, VAE_STEPS, work / "vae.pt")


def base(work: Path) -> None:
    run_pair(second_stage.train, work / "vae.pt", UNET_STEPS, PICTURES, work / "base.pt")


def one_side(rank: int, work: Path) -> None:
    """What one of the two processes makes alone."""
    for make, steps in SIDES[rank]:
        make(work, steps)


def additions(work: Path) -> None:
    run_pair(one_side, work)


PARTS = {"vae": autoencoder, "base": base, "variants": additions}


def _processor_seconds() -> float:
    """Processor time of all ended children: what training takes on a machine that does nothing else."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Train the parts that were asked for, and write all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="where what each part leaves is kept (a temporary folder)")
    parser.add_argument("--out", type=Path, default=HERE, help="where the files of the family go")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="what to train; the rest is taken from the work folder"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        for part in asked.only:
            begun, used = time.monotonic(), _processor_seconds()
            PARTS[part](work)
            used = (_processor_seconds() - used) / PROCESSES
            print(f"{part}: {time.monotonic() - begun:.0f} s, of which each process computed {used:.0f} s", flush=True)
        for path in files.write(work, asked.out):
            print(f"{path}  {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
