"""Puts encoded events into NATS: streams kept as the settings say, marks read back, writers that leave no hole."""
