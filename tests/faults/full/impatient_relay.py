"""`python -m tests.faults.full.impatient_relay run …`: the real relay, for which no event waits as long as a second."""

from __future__ import annotations

from pgstream_relay.app import main
from pgstream_relay.runtime.snapshots import point

if __name__ == "__main__":
    point.POINT_SECONDS_MAX = 0.3  # type: ignore[misc]
    point.POINT_RETRY_SECONDS = 0.5  # type: ignore[misc]
    main()
