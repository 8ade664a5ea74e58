"""The wire format of logical replication: walsender messages, and pgoutput protocol version 1 in text format.

Pure: bytes in, values out. Whatever the bytes are, the one error is `MalformedMessage`.
"""
