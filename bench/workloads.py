"""What the backlog of a case is made of."""

from __future__ import annotations

from dataclasses import dataclass

from bench.tables import FIFTY_COLUMNS, TEN_COLUMNS, TEN_KILOBYTES, Table


@dataclass(frozen=True, slots=True)
class Workload:
    """`rows` changes of one row each, and so as many events."""

    title: str
    table: Table
    rows: int = 500_000
    """Without `--rows`."""
    rounds: int = 3
    """Without `--rounds`."""
    rows_per_transaction: int | None = 1000
    """None: all of them in one."""
    update: str | None = None
    """SET clause: the rows are there before, and each is updated."""

    def setup_statement(self, rows: int) -> str:
        """Makes the table, with what is in it before the backlog."""
        rows_before = rows if self.update else 0
        return f"{self.table.create_statement}; {self.table.insert_statement('1', str(rows_before))}"

    def fill_statement(self, rows: int) -> str:
        """A DO block that writes the backlog, and commits within: it must not run inside a transaction."""
        size = self.rows_per_transaction or rows
        if self.update:
            change = f"update {self.table.name} set {self.update} where c1 between first and last"
        else:
            change = self.table.insert_statement("first", "last")
        return (
            "do $$ declare first bigint; last bigint; begin "
            f"for first in 1..{rows} by {size} loop "
            f"last := least(first + {size - 1}, {rows}); {change}; commit; end loop; end $$"
        )


WORKLOADS = {
    "drain": Workload("inserts of 10 columns, 1,000 a transaction", TEN_COLUMNS),
    "updates": Workload(
        "updates of 2 of 10 columns under replica identity full (before, after and diff), 1,000 a transaction",
        TEN_COLUMNS,
        rows=300_000,
        update="c2 = c2 + 1, c10 = 'sold-' || c1 % 1000",
    ),
    "wide": Workload("inserts of 50 columns, 1,000 a transaction", FIFTY_COLUMNS, rows=100_000),
    "large": Workload("inserts of 10 kB, 100 a transaction", TEN_KILOBYTES, rows=30_000, rows_per_transaction=100),
    "single": Workload("inserts of 10 columns, 1 a transaction", TEN_COLUMNS, rows=200_000, rows_per_transaction=1),
    "huge": Workload(
        "inserts of 10 columns, all in one transaction",
        TEN_COLUMNS,
        rows=5_000_000,
        rounds=1,
        rows_per_transaction=None,
    ),
}
"""By the name that `--case` takes."""
