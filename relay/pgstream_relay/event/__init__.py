"""From converted values to the bytes of an event: id, subject, headers, envelope."""
