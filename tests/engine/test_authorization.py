"""The table is complete, and denies by default."""

from __future__ import annotations

import pytest

from utd_rx.engine import authorization
from utd_rx.engine.authorization import ALLOWED, Caller, Endpoint, authorize, caller_of
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Role


def test_every_endpoint_has_a_row() -> None:
    assert set(ALLOWED) == set(Endpoint)


def test_an_endpoint_without_a_row_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "ALLOWED", {})
    for caller in Caller:
        with pytest.raises(Refusal) as caught:
            authorize(Endpoint.SEATS_GET, caller)
        assert caught.value.status == 403


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("caller", Caller)
def test_the_table_is_what_is_enforced(endpoint: Endpoint, caller: Caller) -> None:
    if caller in ALLOWED[endpoint]:
        authorize(endpoint, caller)
    else:
        with pytest.raises(Refusal) as caught:
            authorize(endpoint, caller)
        assert caught.value.status in (401, 403)


def test_nobody_gets_past_without_being_a_member() -> None:
    assert all(Caller.STRANGER not in allowed for allowed in ALLOWED.values())
    assert all(
        endpoint in (Endpoint.MINT, Endpoint.SESSION)
        for endpoint, allowed in ALLOWED.items()
        if Caller.APP_KEY in allowed
    )


@pytest.mark.parametrize("role", Role)
def test_a_member_is_called_by_its_role(role: Role) -> None:
    assert caller_of(role, is_owner=False).value == role.value
    assert caller_of(role, is_owner=True) is Caller.OWNER
    assert caller_of(None, is_owner=False) is Caller.STRANGER
