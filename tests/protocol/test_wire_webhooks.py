"""A webhook is believed for its signature alone, and then read in every spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from utd_rx import (
    TrackKind,
    UTDCallEndReason,
    UTDCallStatus,
    UTDErrorCode,
    UTDStreamException,
    UTDStreamType,
    WebhookEvent,
    WebhookParticipant,
    WebhookRoom,
    WebhookTrack,
    verify_webhook,
)
from utd_rx.protocol.wire.webhooks import event_from_wire, signature_of

HOOKS = wire_fixture("webhooks")
SECRET: str = HOOKS["signed"]["secret"]
BODY: bytes = HOOKS["signed"]["body"].encode()
DIGEST: str = HOOKS["signed"]["digest"]


def read(wire: dict[str, Any]) -> WebhookEvent:
    found = event_from_wire(wire)
    assert found is not None
    return found


def refused(body: Any, signature: Any, secret: Any) -> UTDErrorCode:
    with pytest.raises(UTDStreamException) as caught:
        verify_webhook(body, signature, secret)
    assert SECRET not in caught.value.message
    return caught.value.code


def test_a_body_is_signed_as_openssl_signs_it() -> None:
    """`openssl dgst -sha256 -hmac <secret>` made the digest."""
    assert signature_of(BODY, SECRET) == f"sha256={DIGEST}"


@pytest.mark.parametrize(
    "signature", [f"sha256={DIGEST}", DIGEST, f"SHA256={DIGEST.upper()}", f" sha256={DIGEST}\n"]
)
def test_a_good_signature_is_taken_in_every_spelling(signature: str) -> None:
    event = verify_webhook(BODY, signature, SECRET)
    assert event == WebhookEvent("room_started", id="evt_1", room=WebhookRoom("friday"))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        DIGEST[:-1],
        DIGEST + "0",
        DIGEST[:-1] + ("0" if DIGEST[-1] != "0" else "1"),
        f"sha1={DIGEST}",
        f"sha256=sha256={DIGEST}",
        "٣" * 64,
        "\ud800",
        7,
    ],
)
def test_any_other_signature_is_unauthorized(signature: Any) -> None:
    assert refused(BODY, signature, SECRET) is UTDErrorCode.UNAUTHORIZED


def test_another_secret_or_body_is_unauthorized() -> None:
    assert refused(BODY, DIGEST, "0" * 32) is UTDErrorCode.UNAUTHORIZED
    assert refused(BODY + b" ", DIGEST, SECRET) is UTDErrorCode.UNAUTHORIZED
    assert refused(b"", DIGEST, SECRET) is UTDErrorCode.UNAUTHORIZED


@pytest.mark.parametrize("secret", ["", None, b"secret"])
def test_nobody_checks_with_an_empty_secret(secret: Any) -> None:
    assert refused(BODY, signature_of(BODY, ""), secret) is UTDErrorCode.VALIDATION


def test_a_body_that_was_decoded_is_refused_before_it_is_looked_at() -> None:
    assert refused(BODY.decode(), DIGEST, SECRET) is UTDErrorCode.VALIDATION


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000]
    + [json.dumps(wire).encode() for wire in HOOKS["malformed"]],
)
def test_a_signed_body_that_is_no_event_is_malformed(body: bytes) -> None:
    assert refused(body, signature_of(body, SECRET), SECRET) is UTDErrorCode.MALFORMED_RESPONSE


def test_ours_are_read_whole() -> None:
    track, online, missed = (
        read(HOOKS["ours"][name]) for name in ("track_published", "user_online", "call_missed")
    )
    assert track == WebhookEvent(
        "track_published",
        id="EV_1",
        created_at="2027-01-15T08:16:40.000Z",
        room=WebhookRoom("friday", "RM_1"),
        participant=WebhookParticipant("mona", "Mona"),
        track=WebhookTrack(TrackKind.VIDEO, "TR_1", 640, 360),
    )
    assert online.participant == WebhookParticipant("mona")
    assert missed.call is not None
    assert missed.call.status is UTDCallStatus.MISSED
    assert missed.call.end_reason is UTDCallEndReason.RING_TIMEOUT


def test_both_generations_spellings_are_read() -> None:
    told = {name: read(wire) for name, wire in HOOKS["tolerated"].items()}
    assert told["room_name"].room == WebhookRoom("friday")
    assert told["text"].track == WebhookTrack(TrackKind.VIDEO, width=640, height=360)
    assert told["number"].track == WebhookTrack(TrackKind.AUDIO)
    assert told["unknown"] == WebhookEvent("message_sent", id="7")
    assert told["odd"] == WebhookEvent("room_started")


def test_a_call_that_does_not_say_how_it_stands_stands_as_its_event_says() -> None:
    call = read(HOOKS["tolerated"]["least call"]).call
    assert call is not None
    assert (call.status, call.type) == (UTDCallStatus.ENDED, UTDStreamType.AUDIO_CALL)
    assert call.duration_seconds == 7


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("call_initiated", UTDCallStatus.INITIATING),
        ("call_ringing", UTDCallStatus.RINGING),
        ("call_accepted", UTDCallStatus.ACTIVE),
        ("call_rejected", UTDCallStatus.REJECTED),
        ("call_busy", UTDCallStatus.BUSY),
        ("call_ended", UTDCallStatus.ENDED),
        ("call_missed", UTDCallStatus.MISSED),
    ],
)
def test_each_event_of_a_call_says_how_it_stands(event: str, status: UTDCallStatus) -> None:
    call = read({"event": event, "call": {"call_id": "c1"}}).call
    assert call is not None
    assert call.status is status


def test_credentials_are_not_kept() -> None:
    wire = {"call_id": "c1", "token": "t", "url": "wss://m"}
    call = read({"event": "call_accepted", "call": wire}).call
    assert call is not None
    assert (call.token, call.url) == (None, None)


parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("id", "name", "room_name", "sid", "identity", "type", "width", "height", "call_id")
objects = st.dictionaries(st.sampled_from(NAMES), parts)


@given(
    st.fixed_dictionaries(
        {"event": st.sampled_from([*HOOKS["ours"], "x"])},
        optional=dict.fromkeys(("id", "room", "participant", "track", "call"), objects | parts),
    )
)
def test_whatever_is_signed_is_read(wire: dict[str, Any]) -> None:
    body = json.dumps(wire).encode()
    assert verify_webhook(body, signature_of(body, SECRET), SECRET).event == wire["event"]
