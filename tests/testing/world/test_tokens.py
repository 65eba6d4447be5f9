"""The tokens of a world are good for what they were made for, as long as they say."""

from __future__ import annotations

import pytest

from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import LISTEN
from utd_rx.engine.tokens import USER_TOKEN_SECONDS, UserClaims
from utd_rx.protocol.wire.tokens import lifetime_of
from utd_rx.testing.world.tokens import RoomTicket, WorldTokens

NOW = 1_800_000_000.0


def test_a_bearer_is_whose_it_is_until_it_ends() -> None:
    tokens = WorldTokens(lambda: NOW)
    token = tokens.sign_bearer(UserClaims("mona", "phone"), NOW)
    assert lifetime_of(token) == USER_TOKEN_SECONDS
    ends = NOW + USER_TOKEN_SECONDS
    assert tokens.read_bearer(token, ends - 1) == UserClaims("mona", "phone", ends)
    for bad, now in ((token, ends), ("another", NOW)):
        with pytest.raises(Refusal) as refused:
            tokens.read_bearer(bad, now)
        assert refused.value.reason is Reason.UNAUTHORIZED


def test_a_ticket_is_for_one_room_and_a_bearer_is_none() -> None:
    tokens = WorldTokens(lambda: NOW)
    token, other = (
        tokens.sign_livekit(
            room="p1_friday", identity="mona", name=name, metadata="secret", grant=LISTEN
        )
        for name in ("Mona", None)
    )
    ticket = RoomTicket("p1_friday", "mona", "Mona", "secret", LISTEN, NOW + 3600)
    assert tokens.read_ticket(token) == ticket
    assert token != other
    assert "secret" not in repr(ticket)
    with pytest.raises(ValueError, match="no token for a room"):
        tokens.read_ticket(tokens.sign_bearer(UserClaims("mona"), NOW))
