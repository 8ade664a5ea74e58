"""One command a module: its options, and the order of its steps. Nothing heavy is imported before a command runs."""
