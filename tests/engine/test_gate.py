"""Who may come in, whatever their token says."""

from __future__ import annotations

from tests.engine.fakes import FakeClock
from utd_rx.engine.gate import Gate
from utd_rx.engine.rules.bans import Ban


def test_who_is_banned_is_thrown_out_even_with_a_token_of_livekits_own_key() -> None:
    clock = FakeClock()
    gate = Gate(clock)
    gate.ban(Ban(0, "mona", clock.wall(), room="friday", expires_at=clock.wall() + 60))
    assert gate.is_unwelcome("friday", "mona", None)
    assert not gate.is_unwelcome("saturday", "mona", None)
    assert not gate.is_unwelcome("friday", "sara", None)
    gate.ban(Ban(0, "sara", clock.wall()))
    assert gate.is_unwelcome("friday", "sara", None)
    clock.now += 61
    assert not gate.is_unwelcome("friday", "mona", None)
    assert gate.unban("sara", None) == 1
    assert not gate.is_unwelcome("friday", "sara", None)
