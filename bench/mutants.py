"""`python -m bench.mutants [--count 10000] [--seed 0]`: damaged files through scan and conversion; how they end and how long they take.

Each is a small real file with one to four wounds. It fails where anything but a refusal is raised, anything runs, or one takes over 2 s.
"""

from __future__ import annotations

import argparse
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    from tests.inference.weights import mutants

    started = time.process_time()
    with mutants.quick_folder() as folder:
        tally = mutants.run(asked.count, folder, asked.seed)
    for ending, count in tally.endings.most_common():
        print(f"{count:6} {ending}")
    spent = time.process_time() - started
    print(f"{asked.count} mutants, seed {asked.seed}: {spent:.0f} s CPU, slowest {tally.slowest_cpu_seconds:.2f} s (target 2 s)")
    print("\n".join(tally.faults) or "no exception, nothing run, nothing slow")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
