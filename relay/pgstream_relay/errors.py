"""Errors that are raised to people: what happened, why it matters, how to mend it, and the exit code that says so."""

from __future__ import annotations

EXIT_FINDINGS = 1
EXIT_UNAVAILABLE = 69
EXIT_RIGHTS = 77
EXIT_CONFIGURATION = 78


class RelayError(Exception):
    """A failure with a name: `message` says what happened and why it matters, `hint` what to do about it.

    `exit_code` is the class of the failure: 69 a server is away, 77 missing rights, 78 configuration or a lost slot;
    those of 77 and 78 wait for a person. Neither text may hold a row value or a password.
    """

    exit_code = EXIT_FINDINGS

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class ConfigurationError(RelayError):
    """The relay's own configuration is malformed or contradicts itself: file and key stand in the message."""

    exit_code = EXIT_CONFIGURATION
