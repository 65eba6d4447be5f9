"""Where a client is sent to: an address that it answered from. Time is an argument, no I/O.

A check that names an address is authentic however forged its sender is, and who forges it would
have all it receives sent to somebody else. So, other than an ICE-lite agent must (RFC 8445, 7.3), a
client that nominates another address is asked there, in a check of ours, whose number nobody knows
who does not hear it. At the first address of all it is asked by DTLS: nothing else is sent before
that is done.
"""

from __future__ import annotations

import secrets
from typing import Final

from aioice import stun

from utd_rx.engine.sfu.budget import Budget
from utd_rx.engine.sfu.udp_mux import Address

_MAX_ASKED: Final = 4
"""Addresses that are asked at a time: a client goes to one, and sometimes changes its mind."""

_RATE: Final = 20
"""Questions in a second, and at once: a client checks a path it has just found as often."""


class ReturnPath:
    """The address of one client."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self._ufrag = ""
        self._password = b""
        self._asked: dict[Address, bytes] = {}
        self._questions = Budget(_RATE, _RATE)
        self._tie_breaker = secrets.randbits(64)

    def know(self, ufrag: str, password: str) -> None:
        """Take the client's own ICE credentials, which its SDP tells."""
        if (ufrag, password.encode()) != (self._ufrag, self._password):
            self._asked.clear()
        self._ufrag, self._password = ufrag, password.encode()

    def on_check(
        self, ufrag: str, address: Address, now: float, *, is_nominating: bool
    ) -> bytes | None:
        """Take an authentic check under our `ufrag`; return what is asked of the address it names,
        if it is another."""
        if self.address is None or (is_nominating and not self._password):
            self.address = address
        elif is_nominating and address != self.address and self._questions.take(1, now):
            number = self._asked.get(address)
            question = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, number)
            self._asked[address] = question.transaction_id
            while len(self._asked) > _MAX_ASKED:
                del self._asked[next(iter(self._asked))]
            question.attributes["USERNAME"] = f"{self._ufrag}:{ufrag}"
            question.attributes["PRIORITY"] = 1
            question.attributes["ICE-CONTROLLED"] = self._tie_breaker
            question.add_message_integrity(self._password)
            return bytes(question)
        return None

    def on_answer(self, answer: stun.Message, address: Address) -> bool:
        """Take the answer to a check; say whether the client is at `address` from now on."""
        if self._asked.get(address) != answer.transaction_id:
            return False
        if not answer.check_message_integrity(self._password):
            return False
        self.address = address
        self._asked.clear()
        return True
