"""Connection strings, as far as the relay has to look into them: which server and database, and nothing secret."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgstream_relay.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Target:
    """Where a DSN leads, with libpq's own variables and defaults filled in."""

    host: str
    port: str
    database: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


def parse_target(dsn: str, where: str) -> Target:
    """`where` names the place that the DSN came from. Raises ConfigurationError, which never quotes the DSN."""
    try:
        given = conninfo_to_dict(dsn)
    except ProgrammingError:
        # libpq's own text quotes the part that it did not understand, which may be the password.
        raise ConfigurationError(
            f"{where}: not a Postgres connection string",
            hint="write postgresql://user@host:5432/database (special characters of a password percent-encoded), "
            "or key=value pairs as libpq has them",
        ) from None
    defaults = {
        option.keyword.decode(): option.val.decode() for option in pq.Conninfo.get_defaults() if option.val is not None
    }

    def value(keyword: str) -> str:
        return str(given.get(keyword) or defaults.get(keyword) or "")

    service = value("service")
    host = value("host") or value("hostaddr") or (f"service {service}" if service else "local socket")
    return Target(host, value("port") or "5432", value("dbname") or value("user") or service)


def replace_database(dsn: str, database: str) -> str:
    """The same connection string, to another database of the cluster."""
    return make_conninfo(dsn, dbname=database)
