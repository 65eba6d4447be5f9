"""A call session: each of its commands, and its course."""
