"""The stress test of snapshots: `make stress`, in short `tests/faults/test_snapshot_stress.py`."""
