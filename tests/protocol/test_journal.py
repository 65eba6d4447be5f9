"""A recording gives back what was written, of whatever types, and believes nothing else."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.strategies import json_values
from tests.sessions.histories import EACH_STATE, ITEMS, plain, values_of
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import TrackSource
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import journal
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.calls import CallEnded
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.facts.seats import FetchSeats
from utd_rx.protocol.journal import Commit, End, Header, Journal, Start
from utd_rx.protocol.kinds import KINDS, Kind
from utd_rx.protocol.promises import IsSitting
from utd_rx.protocol.waiting import Promise, WaitStarted

HEADER = Header(UTDStreamType.AUDIO_ROOM, "me", "lobby", "2026-05-01T12:00:00+00:00", redacted=True)
START = Start(10.0, AudioRoomState("me"))
SPOKE = Commit(11.5, (events.ActiveSpeakersChanged(("ana",)),))
HEAD = journal.line_of(HEADER) + journal.line_of(START)

FEWER = max(10, settings().max_examples // 10)
"""Examples of each kind of item: there are many kinds."""


def read(text: bytes) -> Journal:
    return journal.read(io.BytesIO(text))


def refused(text: bytes) -> str:
    with pytest.raises(UTDStreamException) as raised:
        read(text)
    assert raised.value.code is UTDErrorCode.VALIDATION
    return raised.value.message


def test_every_item_has_a_name_of_its_own() -> None:
    assert set(ITEMS.values()) == {fact for kind in KINDS.values() for fact in kind.facts}


def head_of(item: type) -> bytes:
    """Return the head of a recording of a kind that is told of such an item."""
    kind = next(kind for kind in KINDS.values() if item in kind.facts)
    start = Start(10.0, kind.begin("me", False))
    return journal.line_of(evolve(HEADER, type=kind.type)) + journal.line_of(start)


@pytest.mark.parametrize("kind", ITEMS.values(), ids=lambda kind: kind.__name__)
def test_every_item_comes_back(kind: type) -> None:
    @settings(max_examples=FEWER)
    @given(st.lists(values_of(kind), max_size=2), st.floats(10.0, 1e6))
    def comes_back(items: list[Any], at: float) -> None:
        commit = Commit(at, tuple(items))
        [got] = read(head_of(kind) + journal.line_of(commit)).commits
        assert plain(got) == plain(commit)
        assert [type(item) for item in got.items] == [kind] * len(items)

    comes_back()


@pytest.mark.parametrize("kind", EACH_STATE, ids=lambda kind: kind.type.name)
def test_every_state_comes_back(kind: Kind[Any]) -> None:
    header = evolve(HEADER, type=kind.type)

    @given(values_of(kind.state), st.sampled_from(End))
    def comes_back(state: Any, end: End) -> None:
        start = Start(-3.25, state)
        got = read(journal.line_of(header) + journal.line_of(start) + journal.line_of(end))
        assert (got.header, plain(got.start), got.commits) == (header, plain(start), ())
        assert (got.end, got.skipped) == (end, 0)

    comes_back()


def test_the_format_is_read_letter_by_letter() -> None:
    """Whoever changes what these lines mean begins a new format."""
    error = '{"message":"m","code":"conflict","status_code":null,"retry_after":null}'
    late = '{"message":"n","code":"rateLimited","status_code":429,"retry_after":1.5}'
    lines = [
        '{"journal":2,"type":"audio_room","identity":"me","room":"r","started_at":"",'
        '"redacted":true}',
        '{"at":10.0,"state":{"identity":"me"}}',
        '{"at":11.5,"items":[["JoinFailed",{"epoch":1,"error":'
        + error
        + '}],["RejoinFailed",{"epoch":2,"error":'
        + late
        + ',"jitter":0.5}]]}',
        '{"at":12.0,"items":[["DataReceived",{"payload":{"base64":"/w=="},"sender":null}],'
        '["Disconnected",{"reason":2}]]}',
        '{"at":13.0,"items":[["PublishingWanted",{"source":2,"enabled":true}],'
        '["WaitStarted",{"id":1,"promise":["IsSitting",{"identity":"me","index":2}],"epoch":1}]]}',
        '{"end":"closed"}\n',
    ]
    got = read("\n".join(lines).encode())
    [failed, rejoin], [received, ended] = (plain(commit.items) for commit in got.commits[:2])
    assert got.commits[2].items == (
        PublishingWanted(TrackSource.MICROPHONE, True),
        WaitStarted(1, IsSitting("me", 2), 1),
    )
    assert failed[1:] == (1, ("m", UTDErrorCode.CONFLICT, None, None, ConflictReason.REFUSED, None))
    assert rejoin[2] == ("n", UTDErrorCode.RATE_LIMITED, 429, 1.5, None, None)
    assert received[1:] == (b"\xff", None, "", True)
    assert ended[1:] == (DisconnectReason.DUPLICATE_IDENTITY,)
    assert (got.end, got.skipped) == (End.CLOSED, 0)


@given(st.data())
def test_a_file_that_a_crash_cut_off_is_read_up_to_there(data: st.DataObject) -> None:
    lines = [journal.line_of(attrs.evolve(SPOKE, at=20.0 + i)) for i in range(5)]
    body = b"".join(lines)
    cut = data.draw(st.integers(0, len(body) - 1))
    got = read(HEAD + body[:cut])
    assert len(got.commits) == body[:cut].count(b"\n")
    assert got.end is None


def test_what_a_newer_version_wrote_is_skipped_and_counted() -> None:
    items = [
        ["Teleported", {"identity": "ana"}],
        ["ActiveSpeakersChanged", {"identities": ["ana"], "loudness": [3]}],
        ["Disconnected", {"reason": ["tired"]}],
        "?",
        [],
    ]
    line = json.dumps({"at": 11.5, "items": items, "note": "new"}).encode() + b"\n"
    got = read(HEAD + line)
    assert (got.commits, got.skipped) == ((SPOKE,), 4)


def test_an_unknown_number_of_livekit_is_read_as_unknown() -> None:
    line = b'{"at": 11, "items": [["Disconnected", {"reason": 999}]]}\n'
    [commit] = read(HEAD + line).commits
    assert commit.items == (events.Disconnected(DisconnectReason.UNKNOWN),)


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"[]\n",
        b'"x"\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b"{}\n",
        b'{"at": "soon", "items": []}\n',
        b'{"at": true, "items": []}\n',
        b'{"at": Infinity, "items": []}\n',
        b'{"at": "nan", "items": []}\n',
        b'{"at": 1e308, "items": []}\n',
        b'{"at": 1' + b"0" * 400 + b', "items": []}\n',
        b'{"at": 9.0, "items": []}\n',
        b'{"at": 11, "items": {}}\n',
        b'{"end": "of the world"}\n',
        b'{"end": []}\n',
    ],
    ids=lambda line: line[:40].decode("latin-1").strip(),
)
def test_a_damaged_line_is_refused(line: bytes) -> None:
    assert "not a readable recording" in refused(HEAD + line + journal.line_of(SPOKE))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b'{"journal": 1}\n',
        b'{"journal": 2}\n',
        b'{"journal": 3}\n',
        journal.line_of(attrs.evolve(HEADER, type=UTDStreamType.LIVE_STREAM)),
        journal.line_of(HEADER),
        journal.line_of(HEADER) + b'{"at": 1, "state": {"identity": 5}}\n',
        journal.line_of(HEADER) + b'{"at": 1, "state": {}}\n',
        b"RIFF\x00\x00\x00\x00WAVEfmt \n",
    ],
)
def test_what_is_no_recording_is_refused(text: bytes) -> None:
    refused(text)


def test_a_file_names_no_class_of_its_own() -> None:
    for name in ("builtins.eval", "UTDTokenResponse", "OpenTrack", "__import__"):
        line = json.dumps({"at": 11, "items": [[name, {"x": 1}]]}).encode() + b"\n"
        got = read(HEAD + line)
        assert (got.commits[0].items, got.skipped) == ((), 1)


def test_an_endless_line_and_an_endless_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_LINE", 1_000)
    assert "line 3 is too long" in refused(HEAD + b" " * 1_001)
    monkeypatch.setattr(journal, "MAX_BYTES", 5_000)
    assert "too large" in refused(HEAD + journal.line_of(SPOKE) * 200)


def test_a_recording_of_more_than_a_year_is_not_believed() -> None:
    late = evolve(SPOKE, at=START.at + journal.MAX_SPAN)
    assert len(read(HEAD + journal.line_of(late)).commits) == 1
    later = evolve(late, at=late.at + 1)
    assert "more than a year" in refused(HEAD + journal.line_of(later))


@given(st.sampled_from(sorted(ITEMS)), json_values)
def test_no_content_of_an_item_breaks_the_reader(name: str, value: object) -> None:
    line = json.dumps({"at": 11, "items": [[name, value]]}).encode() + b"\n"
    got = read(head_of(ITEMS[name]) + line)
    assert got.skipped + len(got.commits[0].items) == 1


def test_a_recording_holds_what_its_kind_is_told_and_nothing_else() -> None:
    foreign = journal.line_of(Commit(11.0, (CallEnded("call_1"), SPOKE.items[0])))
    got = read(HEAD + foreign)
    assert (got.skipped, got.commits[0].items) == (1, SPOKE.items)


def test_a_promise_of_no_kind_is_not_written() -> None:
    @frozen
    class IsWon(Promise):
        pass

    with pytest.raises(KeyError):
        journal.line_of(Commit(11.0, (WaitStarted(1, IsWon(), 1),)))


def test_what_is_no_item_is_not_written() -> None:
    for other in (FetchSeats(1), "text", START):
        with pytest.raises(KeyError):
            journal.line_of(Commit(11.0, (other,)))
