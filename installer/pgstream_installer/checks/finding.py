"""One finding: what would go wrong, how badly, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pgstream_installer.errors import EXIT_FAILED, InstallerError

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """`id` is stable and lower case; `hint` says how to mend it; `where` names the server or database.

    `code` is the exit code that the finding asks for: another than 1 where a check could not run at all.
    """

    id: str
    severity: Severity
    what: str
    hint: str
    where: str
    code: int = EXIT_FAILED

    def as_json(self) -> dict[str, str]:
        """The keys that `pgstream check --json` prints."""
        return {"id": self.id, "severity": self.severity, "what": self.what, "hint": self.hint, "where": self.where}


def parse_severity(text: str) -> Severity:
    """Raises ValueError for anything but error, warning, info."""
    if text not in SEVERITIES:
        raise ValueError(f"not a severity: {text}")
    return text


def from_error(identity: str, where: str, error: InstallerError) -> Finding:
    """A server that could not be asked at all."""
    what = f"{error.what} ({error.why})" if error.why else error.what
    return Finding(identity, "error", what, error.hint, where, error.exit_code)


def exit_code(findings: Sequence[Finding], *, strict: bool) -> int:
    """0, or the code of the worst finding: errors count, with `strict` warnings too."""
    counted = [
        finding.code
        for finding in findings
        if finding.severity == "error" or (strict and finding.severity == "warning")
    ]
    return max(counted, default=0)
