"""The rules of a voice agent's session: its connection, its turns, and both together."""
