"""`python -m tests.faults.snapshots --seed 1 --seconds 300`: the stress test of snapshots in its long form."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser

from tests.faults.snapshots.scenario import SABOTAGES, STANDBYS, Options, run


def main() -> None:
    parser = ArgumentParser(prog="stress", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=300, help="how long at least")
    parser.add_argument("--rows", type=int, default=30_000, help="of all tables together")
    parser.add_argument("--rows-snapshot", type=int, default=300_000, help="how many snapshot rows at least")
    parser.add_argument("--standby", choices=STANDBYS, default="half", help="commits wait for a slow standby")
    parser.add_argument("--no-kills", dest="kills", action="store_false", help="let the relay live")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="take this rule out of the relay: must fail then")
    parser.add_argument("--writers", type=int, default=Options.writers)
    parser.add_argument("--large-rows", type=int, default=Options.large_rows)
    parser.add_argument("--block-count-max", type=int, default=32)
    parser.add_argument("--pace-seconds", type=float, default=2.0, help="between two signals, or kills")
    report = run(Options(**vars(parser.parse_args())))
    sys.stdout.write(f"{report}\n")
    sys.exit(0 if report.passed else 1)


if __name__ == "__main__":
    main()
