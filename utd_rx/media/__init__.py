"""A process of its own for rooms and devices, and what crosses between it and the app."""
