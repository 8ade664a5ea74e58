"""Where the SQL is, and the order in which install.sql lists it. The only module that knows either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pgstream_installer.errors import ConfigurationError

INCLUDE = re.compile(r"^\\ir\s+(\S+)\s*$")
MIGRATION = re.compile(r"^migrations/(\d+)_")
NEEDS = re.compile(r"^-- needs: (\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class SqlFile:
    """One file below sql/: its path relative to that folder, and its text."""

    path: str
    text: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The relations that a check reads (`-- needs: pgstream.tables`); without one of them it is skipped."""
        return tuple(NEEDS.findall(self.text))


def sql_directory() -> Path:
    """The packaged folder of an installed wheel, else the checkout's `sql/`.

    Looked for beside this file, not in the package's resources: an editable install leaves a stale copy there.
    """
    packaged = Path(__file__).parent / "sql"
    checkout = Path(__file__).parents[2] / "sql"
    for directory in (packaged, checkout):
        if (directory / "install.sql").is_file():
            return directory
    raise ConfigurationError(
        "the SQL of the control schema is missing from this installation",
        why=f"neither {packaged} nor {checkout} has an install.sql",
        hint="install the package again: pip install --force-reinstall pgstream-nats",
    )


def read_file(path: str) -> SqlFile:
    """One file below sql/, by its relative path."""
    return SqlFile(path, (sql_directory() / path).read_text(encoding="utf-8"))


def included_paths(install_sql: str) -> list[str]:
    """The paths of the `\\ir` lines of an install.sql, in their order."""
    return [found[1] for line in install_sql.splitlines() if (found := INCLUDE.match(line.strip()))]


def install_files(contents: str = "install.sql") -> list[SqlFile]:
    """The files that install.sql lists, in its order; one that lists none (uninstall.sql) stands for itself."""
    listing = read_file(contents)
    return [read_file(path) for path in included_paths(listing.text)] or [listing]


def newest_migration() -> int:
    """The number of the last migration that this installer knows."""
    return max(int(found[1]) for file in install_files() if (found := MIGRATION.match(file.path)))


def check_files() -> list[SqlFile]:
    """The preflight queries, by name."""
    return [read_file(f"checks/{path.name}") for path in sorted((sql_directory() / "checks").glob("*.sql"))]
