"""Plain rooms in any weather, in short: what is sent arrives as it was, once, at whoever can read
it. More and longer examples: tests/testing/test_machines.py."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from utd_rx import Encryption
from utd_rx.testing import PlainRoomMachine

SHORT = settings(max_examples=8, stateful_step_count=25)


class EncryptedRoomMachine(PlainRoomMachine):
    encryption = Encryption("c", ratchet_window=0)


@pytest.mark.parametrize("machine", [PlainRoomMachine, EncryptedRoomMachine])
def test_what_is_said_arrives_once_at_whoever_has_the_key(machine: type[PlainRoomMachine]) -> None:
    run_state_machine_as_test(machine, settings=SHORT)


def test_the_server_has_its_own_mind() -> None:
    machine = PlainRoomMachine()
    machine.open()
    anna, ben, _ = machine.people
    microphone = machine.sessions[anna].microphone_enabled
    machine.switch_microphone(anna, enabled=True)
    machine.mute(anna, is_muted=True)
    assert not microphone.value
    machine.switch_microphone(anna, enabled=True)
    machine.permit(anna, may=False)
    assert (microphone.value, machine.sessions[anna].can_publish.value) == (False, False)
    machine.remove(ben)
    assert machine.present == [who for who in machine.people if who != ben]
    machine.teardown()
