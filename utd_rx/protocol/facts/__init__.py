"""What a session's rules are told and what they ask for, beside the events of the room port.

A module for each noun. The row of a kind of session (`protocol.kinds`) names those it uses: a fact
of none of them is in no recording, and an effect of none has no handler
(tests/protocol/test_kinds.py).
"""

from __future__ import annotations

from typing import TypeAlias


class Fact:
    """Past tense, and never raises: whoever reports it is the authority.

    One that is drawn from a message which proves nothing is a *hint*, and says so by its name.
    """

    __slots__ = ()


class Effect:
    """Imperative: what the shell must do.

    What comes of it is a fact, with the epoch (a local attempt) or generation (the server's
    snapshots) it belongs to, so that a late one is recognised.
    """

    __slots__ = ()


Effects: TypeAlias = tuple[Effect, ...]
