"""What goes wrong in a way that a person can mend: what, why, a hint, and the exit code of CONTRACT 6."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 69
EXIT_RIGHTS = 77
EXIT_CONFIGURATION = 78


class InstallerError(Exception):
    """One clear message: `what` happened, `why` it matters, and a `hint` that says what to do.

    `identity`: the stable id that pgstream's SQL gives its refusals, else the server's SQLSTATE, else empty.
    """

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, why: str = "", hint: str = "", identity: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.identity = identity


class UnreachableError(InstallerError):
    """A server does not answer."""

    exit_code = EXIT_UNREACHABLE


class RightsError(InstallerError):
    """The role that we connect as may not do this."""

    exit_code = EXIT_RIGHTS


class ConfigurationError(InstallerError):
    """A server's, the database's or our own configuration stands in the way; also a slot that is lost."""

    exit_code = EXIT_CONFIGURATION


class CommandLineError(InstallerError):
    """The command line makes no sense."""

    exit_code = EXIT_USAGE


def most_telling(codes: list[int]) -> int:
    """The exit code of a run over several databases: a code that names its reason beats the plain 1."""
    failed = [code for code in codes if code != 0]
    return max(failed, default=0)
