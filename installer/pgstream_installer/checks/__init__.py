"""What would go wrong, in Postgres (queries in sql/checks/) and in NATS: findings. An exception: a check can't run."""

from pgstream_installer.checks.finding import Finding, Severity, exit_code

__all__ = ["Finding", "Severity", "exit_code"]
