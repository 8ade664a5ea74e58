"""The IO shell: sessions, publishers, control tables, health. Everything that holds a socket, a clock or a task."""
