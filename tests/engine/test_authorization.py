"""A route lets pass whom it names, and denies by default."""

from __future__ import annotations

import pytest

from tests.engine.rules.test_room_state import admit
from utd_rx.engine.authorization import (
    FOR_APPS,
    FOR_MEMBERS,
    FOR_MODERATORS,
    FOR_OWNER,
    FOR_SECRET,
    FOR_USERS,
    Caller,
    Callers,
    Principal,
    authorize,
)
from utd_rx.engine.routes import calls
from utd_rx.engine.routes.table import IN_ROOM
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.tokens import UserClaims


@pytest.mark.parametrize(
    "allowed", [FOR_APPS, FOR_SECRET, FOR_OWNER, FOR_MODERATORS, FOR_MEMBERS, FOR_USERS]
)
@pytest.mark.parametrize("caller", Caller)
def test_who_is_named_is_who_passes(allowed: Callers, caller: Caller) -> None:
    if caller in allowed:
        authorize(allowed, caller)
    else:
        with pytest.raises(Refusal) as caught:
            authorize(allowed, caller)
        assert caught.value.status in (401, 403)


def test_nobody_gets_past_without_being_a_member() -> None:
    named = [allowed for _, _, allowed, _ in IN_ROOM if not callable(allowed)]
    for allowed in (*named, FOR_MEMBERS, FOR_MODERATORS, FOR_OWNER, FOR_SECRET):
        assert not {Caller.STRANGER, Caller.APP_KEY} & allowed
    assert Caller.STRANGER not in FOR_APPS


def test_calls_are_for_whoever_has_a_bearer() -> None:
    for allowed in (FOR_USERS, *(allowed for _, _, allowed, _ in calls.ROUTES)):
        assert Caller.STRANGER in allowed, "a call is in no room"
        assert Caller.APP_KEY not in allowed


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.HOST])
def test_a_member_is_called_by_its_role(role: Role) -> None:
    room = admit(admit(None, "sara", Role.HOST), "omar", role, proven=True)
    assert Principal(bearer=UserClaims("omar")).caller_in(room).value == role.value
    assert Principal(bearer=UserClaims("sara")).caller_in(room) is Caller.OWNER
    assert Principal(bearer=UserClaims("mona")).caller_in(room) is Caller.STRANGER
    assert Principal(bearer=UserClaims("omar")).caller_in(None) is Caller.STRANGER
