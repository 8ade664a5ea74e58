"""Which transactions a snapshot of Postgres sees.

Not "which are listed as in progress": a transaction whose commit has been written, streamed even, is invisible until
it has left the list of running ones, and stands behind `xmax` meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(r"([0-9]+):([0-9]+):((?:[0-9]+(?:,[0-9]+)*)?)")
_HALF: Final = 1 << 31
_MASK: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class XidSnapshot:
    """What `pg_current_snapshot()` returned on a primary: 64-bit ids of top-level transactions.

    All below `xmin` have ended, none from `xmax` on has; `in_progress` are those in between that have not.
    """

    xmin: int
    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> XidSnapshot:
        """The form `xmin:xmax:xip,…`. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("a snapshot is not of the form xmin:xmax:xip,…")
        xmin, xmax = int(found[1]), int(found[2])
        in_progress = frozenset(map(int, found[3].split(","))) if found[3] else frozenset()
        if not 0 < xmin <= xmax or any(not xmin <= xid < xmax for xid in in_progress):
            raise ValueError("the parts of a snapshot contradict each other")
        return cls(xmin, xmax, in_progress)

    def sees(self, xid: int) -> bool:
        """Whether the changes of a committed transaction are visible; `xid` has 32 bits, as in a Begin message."""
        full = self._widen(xid)
        return full < self.xmin or (full < self.xmax and full not in self.in_progress)

    def is_past(self, xid: int) -> bool:
        """Whether `xid` (32 bits) and all transactions before it have ended."""
        return self._widen(xid) < self.xmin

    def covers(self, other: XidSnapshot) -> bool:
        """Whether this one sees all that `other` sees: true of one taken later in the same system."""
        return self.xmax >= other.xmax and all(xid in other.in_progress for xid in self.in_progress if xid < other.xmax)

    def _widen(self, xid: int) -> int:
        """No two ids in use are 2**31 or more apart."""
        distance = (xid - self.xmax) & _MASK
        return self.xmax + (distance if distance < _HALF else distance - (1 << 32))


def is_newer(xid: int, other: int) -> bool:
    """The order of ids of 32 bits, which wrap."""
    return 0 < (xid - other) & _MASK < _HALF
