"""The table is complete, and denies by default."""

from __future__ import annotations

import pytest

from utd_rx.engine.authorization import Caller, Endpoint, authorize, caller_of
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Role


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("caller", Caller)
def test_the_table_is_what_is_enforced(endpoint: Endpoint, caller: Caller) -> None:
    if caller in endpoint.allowed:
        authorize(endpoint, caller)
    else:
        with pytest.raises(Refusal) as caught:
            authorize(endpoint, caller)
        assert caught.value.status in (401, 403)


def test_nobody_gets_past_without_being_a_member() -> None:
    assert all(Caller.STRANGER not in endpoint.allowed for endpoint in Endpoint)
    for_apps = {endpoint for endpoint in Endpoint if Caller.APP_KEY in endpoint.allowed}
    assert for_apps == {Endpoint.MINT, Endpoint.SESSION}


@pytest.mark.parametrize("role", Role)
def test_a_member_is_called_by_its_role(role: Role) -> None:
    assert caller_of(role, is_owner=False).value == role.value
    assert caller_of(role, is_owner=True) is Caller.OWNER
    assert caller_of(None, is_owner=False) is Caller.STRANGER
