"""What both embedded servers need: a free port, and a user that Postgres accepts."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started; the message says which, and its last log lines."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user that runs Postgres when we are root (Postgres refuses root); None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError("running as root, and there is neither a user postgres nor a user nobody to run Postgres")


def may_traverse(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether `user` can enter every directory above `path`: not so for a checkout below /root."""
    for parent in path.resolve().parents:
        stat = parent.stat()
        if stat.st_mode & 0o001 or (stat.st_uid == user.pw_uid and stat.st_mode & 0o100):
            continue
        if stat.st_gid == user.pw_gid and stat.st_mode & 0o010:
            continue
        return False
    return True


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a server's log, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
