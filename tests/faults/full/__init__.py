"""Full snapshots: exact under writers, kills and outages; what keeps one from its point, and what is said then."""
