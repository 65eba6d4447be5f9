"""What a fake is asked and does not know: said by name, also where the answer was swallowed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final

from utd_rx.rest.api import UTDApi

ASKED: Final[list[str]] = []
"""What was asked in vain, in sentences; a pytest plugin empties it before each test."""


class UnknownToFakeError(AttributeError):
    """A fake was asked what it does not know; another one may, or the question is a mistake."""


def unknown(fake: str, question: str, hint: str) -> UnknownToFakeError:
    """Return what to raise, and remember it for a test that fails of something that follows.

    Args:
        fake: Who was asked.
        question: What.
        hint: Who knows, or what to do.
    """
    sentence = f"{fake} was asked {question!r}, which it does not know: {hint}"
    ASKED.append(sentence)
    return UnknownToFakeError(sentence)


class Fake:
    """Base of fakes of an engine: what they lack of it they say by name."""

    if not TYPE_CHECKING:  # a type checker knows what it lacks without asking it

        def __getattr__(self, name: str) -> object:
            if not hasattr(UTDApi, name):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise unknown(type(self).__name__, name, _who_knows(name))


_FAKES: Final = ("utd_rx.testing.calls", "utd_rx.testing.stage")
"""Where those are that know more than others, by name: they import this module."""


def _who_knows(question: str) -> str:
    """Return which fake to take."""
    for module in _FAKES:
        import_module(module)
    able = sorted({kind.__name__ for kind in _kinds(Fake) if question in vars(kind)})
    return f"take {' or '.join(able)}" if able else "take FakeWorld, whose engine is the real one's"


def _kinds(kind: type[Fake]) -> Iterator[type[Fake]]:
    for direct in kind.__subclasses__():
        yield direct
        yield from _kinds(direct)
