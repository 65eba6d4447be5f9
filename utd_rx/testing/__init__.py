"""Fakes that behave like the real parts, for tests of the SDK and of apps built on it."""
