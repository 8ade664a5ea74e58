"""Snapshots: reads tables in chunks beside the WAL and hands their rows to the publisher (law 8).

`runner` has the session's snapshots, `incremental` the course of one, `reader` reads chunks, `emitter` publishes them
between two transactions, `recovery` asks a stream what a relay before this one had written, `store` is the SQL on
`pgstream.signals` and `pgstream.snapshots`.
"""
