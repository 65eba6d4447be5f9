"""Every text, list and map that a client can send has a bound, those of tomorrow too."""

from __future__ import annotations

import base64
import contextlib
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from tests.engine.sfu.test_signalling import join_request
from utd_rx.engine.sfu.limits import (
    MAX_ENTRIES,
    MAX_SIGNAL_BYTES,
    LimitError,
    decode_join_request,
    decode_request,
    share,
)

FIELDS = [one for one in rtc.SignalRequest.DESCRIPTOR.fields if one.message_type is not None]
MEGABYTE = 1_000_000
PEOPLE = [models.ParticipantTracks(track_sids=[""] * 250)] * 4096
SPACIOUS = ("SessionDescription.sdp",)
"""May be as long as a message may be."""


def overfilled(message: Message, path: str = "") -> Iterator[tuple[str, Message]]:
    """Yield `message` once for each text, list and map in it, that one far too large."""
    for field in message.DESCRIPTOR.fields:
        kind = field.message_type
        empty = type(message)()
        is_map = kind is not None and kind.GetOptions().map_entry
        if field.is_repeated:
            many = [str(n) for n in range(10_000)]
            if is_map:
                getattr(empty, field.name).update(dict.fromkeys(many, "x"))
                yield field.full_name, empty
                for key, value in (("k", "x" * MEGABYTE), ("x" * MEGABYTE, "v")):
                    empty = type(message)()
                    getattr(empty, field.name)[key] = value
                    yield f"{field.full_name}[]", empty
            elif kind is not None:
                for _ in many:
                    getattr(empty, field.name).add()
                yield field.full_name, empty
                for name, part in overfilled(getattr(type(message)(), field.name).add()):
                    empty = type(message)()
                    getattr(empty, field.name).append(part)
                    yield name, empty
            elif field.type == FieldDescriptor.TYPE_STRING:
                getattr(empty, field.name).extend(many)
                yield field.full_name, empty
                empty = type(message)()
                getattr(empty, field.name).append("x" * MEGABYTE)
                yield field.full_name, empty
            else:
                getattr(empty, field.name).extend([1] * 10_000)
                yield field.full_name, empty
        elif kind is not None:
            for name, part in overfilled(getattr(type(message)(), field.name)):
                empty = type(message)()
                getattr(empty, field.name).CopyFrom(part)
                yield name, empty
        elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            text = "x" * MEGABYTE
            is_text = field.type == FieldDescriptor.TYPE_STRING
            setattr(empty, field.name, text if is_text else text.encode())
            yield field.full_name, empty


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: str(field.name))
def test_nothing_in_a_request_is_without_a_bound(field: FieldDescriptor) -> None:
    empty = rtc.SignalRequest()
    for name, part in overfilled(getattr(empty, field.name)):
        request = rtc.SignalRequest()
        getattr(request, field.name).CopyFrom(part)
        if name.removeprefix("livekit.") not in SPACIOUS:
            with pytest.raises(LimitError, match=r"exceeds limits"):
                decode_request(request.SerializeToString())


def test_nothing_in_a_join_request_is_without_a_bound() -> None:
    for name, request in overfilled(rtc.JoinRequest()):
        wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
        if name.removeprefix("livekit.") not in SPACIOUS:
            with pytest.raises(LimitError, match=r"exceeds limits"):
                decode_join_request(base64.b64encode(wrapped.SerializeToString()).decode())


NESTED = (
    rtc.SignalRequest(subscription=rtc.UpdateSubscription(participant_tracks=PEOPLE)),
    rtc.SignalRequest(
        sync_state=rtc.SyncState(subscription=rtc.UpdateSubscription(participant_tracks=PEOPLE))
    ),
    rtc.SignalRequest(
        sync_state=rtc.SyncState(
            publish_tracks=[
                rtc.TrackPublishedResponse(
                    track=models.TrackInfo(
                        codecs=[models.SimulcastCodecInfo(layers=[models.VideoLayer()] * 64)] * 64
                    )
                )
            ]
            * 64
        )
    ),
)
"""Of lists in lists, none of which holds more than it may."""


@pytest.mark.parametrize("request_", NESTED, ids=("wishes", "resumed", "tracks"))
def test_lists_in_lists_are_bounded_together(request_: rtc.SignalRequest) -> None:
    data, looks = request_.SerializeToString(), 0
    assert len(data) < MAX_SIGNAL_BYTES

    def count(frame: object, event: str, called: Any) -> None:
        nonlocal looks
        looks += event == "c_call" and called.__name__ == "ListFields"

    sys.setprofile(count)
    try:
        with pytest.raises(LimitError, match=r"^request exceeds limits"):
            decode_request(data)
    finally:
        sys.setprofile(None)
    assert 0 < looks <= MAX_ENTRIES


@pytest.mark.parametrize(("layers", "of_codec"), [(8, 8), (9, 8), (8, 9)])
def test_nobody_announces_more_layers_than_there_are_names_for(layers: int, of_codec: int) -> None:
    codec = rtc.SimulcastCodec(layers=[models.VideoLayer()] * of_codec)
    track = rtc.AddTrackRequest(layers=[models.VideoLayer()] * layers, simulcast_codecs=[codec])
    request = rtc.SignalRequest(add_track=track)
    if (layers, of_codec) == (8, 8):
        assert decode_request(request.SerializeToString()) == request
        return
    with pytest.raises(LimitError, match=r"layers exceeds limits"):
        decode_request(request.SerializeToString())


def test_a_share_is_a_quarter_of_the_loop() -> None:
    mine = share()
    mine.spend(0.0125 + 0.25, 0.0)
    assert mine.wait(0.0) == pytest.approx(1.0)
    mine.wait(60.0)
    mine.spend(0.0126, 60.0)  # no more is saved than may be used at once
    assert mine.wait(60.0) > 0.0


def test_of_texts_in_a_list_the_longest_counts() -> None:
    longest = "é" * 128  # 256 bytes
    good = rtc.SignalRequest(subscription=rtc.UpdateSubscription(track_sids=["x", longest]))
    assert decode_request(good.SerializeToString()) == good
    bad = rtc.SignalRequest(subscription=rtc.UpdateSubscription(track_sids=["x", longest + "x"]))
    with pytest.raises(LimitError, match=r"track_sids\[\]"):
        decode_request(bad.SerializeToString())


def test_what_clients_send_is_within_the_bounds() -> None:
    request = rtc.SignalRequest(
        subscription=rtc.UpdateSubscription(track_sids=[f"TR_{n:012}" for n in range(2000)])
    )
    assert decode_request(request.SerializeToString()) == request
    named = [models.ParticipantTracks(participant_sid="PA_1", track_sids=["TR_1"])] * 4096
    request = rtc.SignalRequest(subscription=rtc.UpdateSubscription(participant_tracks=named))
    assert decode_request(request.SerializeToString()) == request
    request = rtc.SignalRequest(
        offer=rtc.SessionDescription(type="offer", sdp="x" * (MAX_SIGNAL_BYTES - 100))
    )
    assert decode_request(request.SerializeToString()) == request


def test_a_refusal_names_the_field_and_the_request() -> None:
    update = rtc.UpdateParticipantMetadata(name="n" * 257, request_id=7)
    with pytest.raises(LimitError, match=r"UpdateParticipantMetadata\.name") as caught:
        decode_request(rtc.SignalRequest(update_metadata=update).SerializeToString())
    assert caught.value.request_id == 7


def test_what_this_server_does_not_know_is_dropped() -> None:
    unknown = b"\xfa\x3e\x80\x80\x04" + bytes(65536)  # field 1007, a text
    with_unknown = rtc.AddTrackRequest(cid="c").SerializeToString() + unknown
    request = rtc.SignalRequest(add_track=rtc.AddTrackRequest.FromString(with_unknown))
    assert decode_request(request.SerializeToString()).ByteSize() < 100


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    with contextlib.suppress(DecodeError, LimitError):
        assert isinstance(decode_request(data), rtc.SignalRequest)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: base64.b64encode(b).decode()))
def test_parsing_a_join_request_raises_nothing_but_value_error(value: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(decode_join_request(value), rtc.JoinRequest)


def test_padding_and_alphabet_of_a_join_request_do_not_matter() -> None:
    sid = "PA_" + secrets.token_hex(8) + "?>~"
    wrapped = join_request(participant_sid=sid)
    standard = wrapped.replace("-", "+").replace("_", "/")
    for value in (wrapped, wrapped.rstrip("="), standard):
        assert decode_join_request(value).participant_sid == sid
