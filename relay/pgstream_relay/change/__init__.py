"""From pgoutput's tuples to the bytes of an event: one plan a relation, compiled once, used for each of its rows."""
