"""The people's command: writes the contract (sql/) into a database, checks it, watches it."""
