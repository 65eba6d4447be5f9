"""From a value to JSON and back: one way, for every public value, that the usual tools find."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Annotated, Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings

from tests.inside.frameworks import need
from tests.sessions.stage import Stage
from tests.testing.test_strategies import BASES, all_models
from utd_rx import (
    AudioFrame,
    Encryption,
    KeyRing,
    RemoteParticipant,
    RoomEvent,
    SpeakRequest,
    UTDCall,
    UTDCallStatus,
    UTDRole,
    UTDSeat,
    UTDSeatGrid,
    UTDStreamException,
    UTDStreamType,
    UTDTokenResponse,
    VideoFrame,
    from_json,
    to_json,
)
from utd_rx.errors import UTDErrorCode
from utd_rx.models.agent_events import AgentEvent
from utd_rx.models.device_state import MicrophoneState
from utd_rx.models.events import DataReceived, ParticipantConnected
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import CREDENTIAL
from utd_rx.testing import strategies as st

GRID = UTDSeatGrid(
    (UTDSeat(0, "ana", attributes=FrozenMap({"mood": "gay"})), UTDSeat(1, is_locked=True)),
    requests=(SpeakRequest(7, "ben"),),
)
SEEN: dict[str, Any] = {
    "seats": [
        {"index": 0, "identity": "ana", "is_locked": False, "reserved_for": None,
         "attributes": {"mood": "gay"}},
        {"index": 1, "identity": None, "is_locked": True, "reserved_for": None, "attributes": {}},
    ],
    "mode": "free",
    "mode_id": None,
    "requests": [{"id": 7, "identity": "ben", "created_at": None}],
    "revision": None,
}  # fmt: skip
TOLD = DataReceived(b"\xff", "ana")

FRAMES = {AudioFrame, VideoFrame}
KEYS = {Encryption, KeyRing}
MODELS = [model for model in all_models() if model not in FRAMES | KEYS]


def test_keys_have_no_json() -> None:
    for value in (Encryption("open sesame"), Encryption(keys={"ana": "open sesame"})):
        with pytest.raises(TypeError, match="no Encryption") as refused:
            to_json(value)
        assert "sesame" not in str(refused.value)


def through_text(wire: object) -> object:
    return json.loads(json.dumps(wire, allow_nan=False))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_there_and_back_by_whoever_does_it(model: Any) -> None:
    adapter = need("pydantic").TypeAdapter(model)
    orjson = need("orjson")
    credentials = {one.name for one in attrs.fields(model) if one.metadata == CREDENTIAL}
    needed = {one.name for one in attrs.fields(model) if one.default is attrs.NOTHING}
    adapter.json_schema()

    @settings(max_examples=2)
    @given(st.of(model))
    def check(value: Any) -> None:
        whole, seen = to_json(value, credentials=True), to_json(value)
        again = from_json(model, through_text(whole))
        assert type(again) is model
        assert repr(again) == repr(value)
        assert to_json(again, credentials=True) == whole
        assert not credentials & set(seen)
        assert dict(value) == seen == json.loads(json.dumps(value, default=to_json))
        assert orjson.loads(orjson.dumps((value,), default=to_json)) == [seen]
        assert adapter.dump_python(value) == seen == json.loads(adapter.dump_json(value))
        assert adapter.validate_python(value) is value
        if not credentials & needed:
            assert to_json(adapter.validate_json(adapter.dump_json(value))) == seen

    check()


@pytest.mark.parametrize("family", [RoomEvent, AgentEvent])
def test_an_event_says_which_it_is_and_is_read_by_its_family(family: Any) -> None:
    strategy = st.room_events() if family is RoomEvent else st.agent_events()

    @settings(max_examples=10)
    @given(strategy)
    def check(event: Any) -> None:
        wire = to_json(event)
        assert wire["type"] == type(event).__name__
        assert type(from_json(family, wire)) is type(from_json(type(event), wire)) is type(event)

    check()
    with pytest.raises(UTDStreamException, match="'Unheard'"):
        from_json(family, {"type": "Unheard"})
    assert family in BASES
    with pytest.raises(UTDStreamException, match="DataReceived"):
        from_json(ParticipantConnected, to_json(TOLD))


async def test_what_a_session_holds_is_json_as_it_stands(joined: Stage) -> None:
    session = joined.session
    await session.take_seat(1)
    state = session.state.value
    told = through_text(to_json(state))
    assert to_json(from_json(type(state), told)) == told
    assert to_json((session.seats.value, session.connection_state.value, None))[1] == "connected"
    assert to_json({"roles": FrozenMap({"ana": UTDRole.HOST})}) == {"roles": {"ana": "host"}}
    with pytest.raises(TypeError, match=r"no StateSubject.*\.value"):
        to_json(session.seats)
    for alive in (session, AudioFrame(np.zeros((480, 1), np.int16), 48_000), {1: "a"}):
        with pytest.raises(TypeError, match="to_json knows values"):
            to_json(alive)


def test_what_is_written() -> None:
    assert to_json(GRID) == SEEN == dict(GRID)
    assert from_json(UTDSeatGrid, {"seats": [{"index": 0}], "newer": 1}).seats == (UTDSeat(0),)
    assert from_json(tuple[UTDSeat, ...], SEEN["seats"]) == GRID.seats
    assert to_json(TOLD)["payload"] == {"base64": "/w=="}
    state = MicrophoneState(
        level=-math.inf, failure=UTDStreamException("no", code=UTDErrorCode.NOT_FOUND)
    )
    told = to_json(state)
    assert (told["level"], told["failure"]["code"]) == ("-inf", "notFound")
    with pytest.raises(UTDStreamException) as raised:
        from_json(UTDSeatGrid, {"seats": 3})
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_no_credential_is_written_unless_it_is_asked_for() -> None:
    call = UTDCall("c", UTDCallStatus.ACTIVE, UTDStreamType.AUDIO_CALL, token="s3cr3t", url="wss:")
    minted = UTDTokenResponse("s3cr3t", "wss:", "room", "s3cr3t")
    for value in (call, minted):
        seen = (to_json(value), dict(value), need("pydantic").TypeAdapter(type(value)))
        assert "s3cr3t" not in f"{seen[0]} {seen[1]} {seen[2].dump_json(value)}"
        with pytest.raises(KeyError):
            value["token"]
        assert from_json(type(value), to_json(value, credentials=True)) == value


async def get(app: Any, path: str, body: object = None) -> Any:
    """What a web server answers a browser."""
    said = iter(({"type": "http.request", "body": json.dumps(body).encode()},))
    sent: list[Any] = []
    headers = [(b"content-type", b"application/json")]
    method = "GET" if body is None else "POST"
    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "headers": headers,
        "query_string": b"",
    }

    async def receive() -> Any:
        return next(said)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(text)


async def test_fastapi_returns_values_as_they_are_and_describes_them() -> None:
    fastapi = need("fastapi")
    app = fastapi.FastAPI()

    def plain() -> Any:
        return GRID

    def declared() -> UTDSeatGrid:
        return GRID

    def untold():  # type: ignore[no-untyped-def] # as people write it
        return GRID

    def inside() -> Any:
        return {"told": [TOLD], "roles": FrozenMap({"ana": UTDRole.HOST})}

    async def take(grid: Any) -> Any:
        return grid

    take.__annotations__ = {"grid": Annotated[UTDSeatGrid, fastapi.Body()], "return": UTDSeatGrid}
    declared.__annotations__ = {"return": UTDSeatGrid}
    for route in (plain, declared, inside, untold):
        app.get(f"/{route.__name__}")(route)
    app.post("/take")(take)
    for path in ("/plain", "/declared", "/untold"):
        assert await get(app, path) == (200, SEEN)
    told = {"told": [to_json(TOLD)], "roles": {"ana": "host"}}
    assert await get(app, "/inside") == (200, told)
    assert await get(app, "/take", SEEN) == (200, SEEN)
    status, refusal = await get(app, "/take", {"seats": 3})
    assert (status, "expected list" in str(refusal)) == (422, True)
    shapes = app.openapi()["components"]["schemas"]
    grid, seat = shapes["UTDSeatGrid-Input"], shapes["UTDSeat-Input"]
    assert grid["properties"]["seats"]["items"]["$ref"].endswith("/UTDSeat-Input")
    assert grid["properties"]["mode"]["enum"] == ["free", "request"]
    assert seat["required"] == ["index"]
    assert set(shapes["UTDSeat-Output"]["required"]) == set(SEEN["seats"][0])


@pytest.mark.long  # to import pandas is
def test_pandas_has_a_column_for_each_field_and_writes_nothing_empty() -> None:
    pandas = need("pandas")
    people = (
        RemoteParticipant("ana", attributes=FrozenMap({"mood": "gay"})),
        RemoteParticipant("ben"),
    )
    frame = pandas.DataFrame(to_json(people))
    assert list(frame["identity"]) == ["ana", "ben"]
    assert json.loads(frame.to_json(orient="records")) == to_json(people)
    raw = pandas.DataFrame({"one": people, "map": [person.attributes for person in people]})
    written = json.loads(raw.to_json(orient="records"))
    assert written[0] == {"one": to_json(people[0]), "map": {"mood": "gay"}}
    roles = FrozenMap({"ana": UTDRole.HOST})
    assert json.loads(pandas.Series([roles]).to_json()) == {"0": to_json(roles)}


@pytest.mark.parametrize("copied", [np.asarray, np.array], ids=["asarray", "array"])
def test_a_frame_is_an_array_of_its_samples(copied: Callable[..., Any]) -> None:
    samples = np.arange(960, dtype=np.int16).reshape(480, 2)
    frame = AudioFrame(samples, 48_000)
    picture = VideoFrame(np.full((32, 64, 3), 7, np.uint8), rotation=90)
    for one, inside in ((frame, samples), (picture, picture.pixels)):
        array = copied(one)
        assert array.dtype == inside.dtype
        assert np.array_equal(array, inside)
        assert np.shares_memory(array, inside) == (copied is np.asarray)
    assert copied(frame, dtype=np.float32).dtype == np.float32
    assert np.concatenate([frame, frame]).shape == (960, 2)


def test_a_value_is_no_sequence() -> None:
    with pytest.raises(TypeError):
        iter(GRID)  # type: ignore[call-overload] # which says so as well
    with pytest.raises(KeyError):
        GRID["nothing"]
