"""`python -m tests.faults.snapshots.sabotage KIND run …`: the relay with a rule of its snapshots taken out."""
