"""`python -m bench`: measure what Palaver costs on this machine, and write docs/benchmarks."""

from __future__ import annotations

import argparse
import time

from bench.plan import FULL, QUICK
from bench.report import summary, write
from bench.servers import ROOT, install_node
from bench.suite import MEASUREMENTS, measure
from bench.ways import WAYS

FOLDER = ROOT / "docs" / "benchmarks"


def main() -> None:
    arguments = _parser().parse_args()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", flush=True)

    install_node(tell)
    figures = measure(QUICK if arguments.quick else FULL, tell, only=arguments.only, ways=arguments.ways)
    print(f"\n{summary(figures)}")
    if not (arguments.quick or arguments.only or arguments.ways):
        write(figures, FOLDER)
        print(f"\nWritten to {FOLDER.relative_to(ROOT)}/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what Palaver costs on this machine, and write docs/benchmarks."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds; writes nothing")
    parser.add_argument(
        "--only", action="append", choices=MEASUREMENTS, default=[], help="one measurement; may be given several times"
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=[], metavar="WAY", help=f"only these: {', '.join(WAYS)}"
    )
    return parser


if __name__ == "__main__":
    main()
