"""The stages of the sessions' tests."""

from tests.sessions.conftest import joined, stage

__all__ = ["joined", "stage"]
