"""The stage on the wire: exact out, tolerant in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from utd_rx.models.stage import Stage, StageRequest, UTDStageMember
from utd_rx.protocol.wire.stage import (
    requests_in_stage,
    stage_from_wire,
    stage_in_metadata,
    stage_request_from_wire,
    stage_request_to_rest,
    stage_request_to_wire,
    stage_to_wire,
)

REPLIES, PUSHES = wire_fixture("stage"), wire_fixture("pushes")
MEMBERS = (UTDStageMember("sara", "Sara", "host"), UTDStageMember("علي", role="audience"))
STAGE = Stage(MEMBERS, revision=7, is_live=True)
LI_LEI = StageRequest("李雷", "Li Lei", "2026-05-04T10:00:05.000Z")
MONA = StageRequest("mona", created_at="2026-05-04T10:00:06.000Z")

ODD = st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers())


def test_what_is_written_is_the_fixture() -> None:
    rows = [stage_request_to_rest(LI_LEI, age=41.5), stage_request_to_rest(MONA, age=40.4999)]
    assert stage_to_wire(STAGE) == REPLIES["stage"]
    assert {**stage_to_wire(STAGE), "requests": rows} == REPLIES["moderators_stage"]
    assert stage_request_to_wire(LI_LEI) == REPLIES["request"]
    pushed = {"type": "_stage_request", **stage_request_to_wire(LI_LEI)}
    assert pushed == PUSHES["_stage_request"]


def test_the_fixtures_are_read() -> None:
    whole = REPLIES["moderators_stage"]
    assert stage_from_wire(whole) == stage_from_wire(REPLIES["stage"]) == STAGE
    assert stage_in_metadata({"_stage": REPLIES["stage"]}) == STAGE
    assert requests_in_stage(whole) == (LI_LEI, MONA)
    assert stage_request_from_wire(PUSHES["_stage_request"]) == LI_LEI
    assert stage_request_from_wire(PUSHES["_stage_request_closed"]) == StageRequest("李雷")


def test_an_engine_that_tells_no_hands_is_not_one_that_has_none() -> None:
    assert requests_in_stage(REPLIES["stage"]) is None
    assert requests_in_stage({"requests": []}) == ()
    assert stage_in_metadata({"_seats": {}}) is None


def test_who_is_named_twice_counts_once() -> None:
    twice = {"members": [{"identity": "sara", "role": "host"}, {"identity": "sara"}, {}, 7]}
    assert stage_from_wire(twice) == Stage((UTDStageMember("sara", role="host"),))
    hands = {"requests": [*REPLIES["moderators_stage"]["requests"], {"identity": "李雷"}, {}, None]}
    assert requests_in_stage(hands) == (LI_LEI, MONA)


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ({"rev": "7", "live": 1}, Stage(revision=7, is_live=True)),
        ({"rev": 7.0, "live": "false"}, Stage(revision=7, is_live=False)),
        ({"rev": "new", "live": "soon", "members": {"identity": "sara"}}, Stage()),
        ({}, Stage()),
    ],
)
def test_other_spellings_are_read(wire: dict[str, object], read: Stage) -> None:
    assert stage_from_wire(wire) == read


@given(st.dictionaries(st.sampled_from(["members", "rev", "live", "requests", "identity"]), ODD))
def test_nothing_raises(wire: dict[str, object]) -> None:
    assert stage_from_wire(wire).members == ()
    assert requests_in_stage(wire) in (None, ())
    asked = stage_request_from_wire(wire)
    assert asked is None or asked.identity
