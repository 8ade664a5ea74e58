"""Postgres counts microseconds from 2000-01-01 UTC; the project counts them from 1970."""

POSTGRES_EPOCH_US = 946_684_800_000_000
