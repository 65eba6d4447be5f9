"""Media rooms over LiveKit; importing this package does not load LiveKit's native library."""
