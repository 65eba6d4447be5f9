"""Hangs when it is imported, as a native library may."""

from tests.media.hanging import hang

hang()
