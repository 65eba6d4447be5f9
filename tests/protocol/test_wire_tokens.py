"""A mint's reply is read in every spelling, or not at all when nobody can join with it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from tests.protocol.strategies import mint_objects, names
from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.protocol.wire.tokens import (
    MAX_CREDENTIAL,
    bearer_and_room,
    expired_at,
    out_of_date,
    session_from_wire,
    session_to_wire,
    token_from_wire,
    token_to_wire,
)

TOKEN, SESSION = wire_fixture("token"), wire_fixture("session")

secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)


@pytest.mark.parametrize("case", TOKEN["replies"].values(), ids=TOKEN["replies"])
def test_a_room_mint_is_read(case: dict[str, Any]) -> None:
    reply = token_from_wire(case["wire"])
    assert reply is not None
    assert asdict(reply) == case["expected"]


@pytest.mark.parametrize("case", SESSION["replies"].values(), ids=SESSION["replies"])
def test_a_session_mint_is_read(case: dict[str, Any]) -> None:
    reply = session_from_wire(case["wire"])
    assert reply is not None
    assert asdict(reply) == {**case["expected"], "identity": None}  # the wire does not say


def test_mints_are_written_to_the_letter() -> None:
    local = TOKEN["replies"]["local"]
    assert token_to_wire(UTDTokenResponse(**local["expected"])) == local["wire"]
    local = SESSION["replies"]["local"]
    assert session_to_wire(UTDSessionResponse(**local["expected"])) == local["wire"]


@pytest.mark.parametrize("wire", TOKEN["malformed"])
def test_a_room_mint_that_gives_nothing_to_join_with_is_none(wire: dict[str, Any]) -> None:
    assert token_from_wire(wire) is None


@pytest.mark.parametrize("name", ["token", "user_token"])
def test_a_token_has_an_end(name: str) -> None:
    wire = TOKEN["replies"]["local"]["wire"] | {name: "x" * MAX_CREDENTIAL}
    assert token_from_wire(wire) is not None
    assert token_from_wire(wire | {name: "x" * (MAX_CREDENTIAL + 1)}) is None
    assert session_from_wire({"user_token": "x" * (MAX_CREDENTIAL + 1)}) is None


@pytest.mark.parametrize("wire", SESSION["malformed"])
def test_a_session_mint_without_a_bearer_is_none(wire: dict[str, Any]) -> None:
    assert session_from_wire(wire) is None


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:7880",
        "WSS://Media.example.com",
        "http://media_1:80/rtc?x=y",
        "https://[::1]:65535/",
        "wss://user:secret@media.example.com",
    ],
)
def test_what_livekit_can_join_is_kept_to_the_letter(url: str) -> None:
    reply = token_from_wire({"token": "t", "url": url, "user_token": "u"})
    assert reply is not None
    assert reply.url == url


def test_a_url_that_names_one_host_here_and_another_to_livekit_is_none() -> None:
    for url in ("ws://evil.test\\@127.0.0.1", "wss:\\\\evil.test"):
        assert token_from_wire({"token": "t", "url": url, "user_token": "u"}) is None


@given(mint_objects)
def test_any_object_is_read_or_refused(wire: dict[str, object]) -> None:
    reply = token_from_wire(wire)
    if reply is not None:
        assert reply.token
        assert reply.url
        assert reply.user_token
    session = session_from_wire(wire)
    assert session is None or session.user_token


@given(
    st.builds(
        UTDTokenResponse,
        token=secrets,
        url=st.from_regex(
            r"(ws|http)s?://[a-z]{1,9}(:[1-9][0-9]{0,3})?(/[!-\[\]-~]{0,9})?", fullmatch=True
        ),
        room_name=names,
        user_token=secrets,
        ws_url=st.none() | names,
        role=st.none() | names,
    )
)
def test_a_room_mint_survives_the_wire(reply: UTDTokenResponse) -> None:
    assert token_from_wire(token_to_wire(reply)) == reply


@given(
    st.builds(
        UTDSessionResponse,
        user_token=secrets,
        ws_url=st.none() | names,
        signaling_enabled=st.none() | st.booleans(),
        messaging_enabled=st.none() | st.booleans(),
    )
)
def test_a_session_mint_survives_the_wire(reply: UTDSessionResponse) -> None:
    assert session_from_wire(session_to_wire(reply)) == reply


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


def test_livekits_token_says_whose_it_is_and_for_which_room() -> None:
    assert bearer_and_room(jwt(sub="ana", video={"room": "lobby"})) == ("ana", "lobby")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", jwt(), jwt(sub=[], video=[])])
def test_what_a_token_does_not_say_is_nothing(token: str) -> None:
    assert bearer_and_room(token) == ("", "")
    assert out_of_date(token, 0.0) == ""
    assert expired_at(token, 1e12) is None


def test_a_token_says_when_it_ceased_or_begins_to_hold() -> None:
    token = jwt(nbf=100, exp=200)
    assert out_of_date(token, 150) == ""
    assert [expired_at(token, now) for now in (40, 150, 200, 260)] == [None, None, 200, 200]
    assert out_of_date(token, 260) == "the token expired at 1970-01-01 00:03:20 UTC, 60 s ago"
    assert "holds from 1970-01-01 00:01:40 UTC, in 60 s" in out_of_date(token, 40)
    assert "expired at -1000000000000, " in out_of_date(jwt(exp=-1e12), 0)
