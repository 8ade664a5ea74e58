"""The relay: reads a replication slot and the control tables, publishes events into NATS."""
