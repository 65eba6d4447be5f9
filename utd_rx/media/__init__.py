"""Rooms and devices in a process of their own, which a busy app does not disturb."""
