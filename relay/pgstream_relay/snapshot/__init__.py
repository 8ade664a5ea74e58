"""Snapshots without IO: what may be emitted, which blocks come next, which state follows which."""
