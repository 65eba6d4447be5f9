"""Keys go to the right host, and a name stays one segment of a path."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rest.conftest import APP_ID, APP_KEY
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.rest.checks import checked_base_url, endpoint, path_of


@pytest.mark.parametrize(
    "url",
    [
        "https://engine.example.com",
        "https://engine.example.com:8443/base/",
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:8080",
    ],
)
def test_https_and_this_machine_are_accepted(url: str) -> None:
    assert str(checked_base_url(url)).rstrip("/") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://engine.example.com",
        "http://203.0.113.7",
        "http://0.0.0.0:80",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "ws://127.0.0.1",
        "engine.example.com",
        "https://",
        "",
        "/api",
        "https://h:99999",
        "https://user:hunter2@h",
        "https://h?key=hunter2",
        "https://h#hunter2",
    ],
)
def test_any_other_base_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UTDStreamException) as caught:
        UTDApiClient(url, app_id=APP_ID, app_key=APP_KEY)
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert caught.value.status_code is None
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("bad", ["", "a b", "a\nb", "ключ"])
def test_a_credential_fits_a_header(bad: str) -> None:
    for app_id, app_key in ((bad, APP_KEY), (APP_ID, bad)):
        with pytest.raises(UTDStreamException) as caught:
            UTDApiClient(app_id=app_id, app_key=app_key)
        assert caught.value.code is UTDErrorCode.VALIDATION


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128))
def test_any_identity_is_one_segment(identity: str) -> None:
    path = path_of("rooms", "r", "participants", identity, "mute")
    assert unquote(path) == f"/rooms/r/participants/{identity}/mute"
    url = endpoint(checked_base_url("https://h"), path, {})
    segments = url.raw_path.split("/")
    assert len(segments) == 8
    assert unquote(segments[6]) == identity
    assert segments[6] not in (".", "..")


@pytest.mark.parametrize(
    "identity", ["..", ".", "a/b", "a?b#c", "%2e%2e", "علي 李雷", "a+b&c=d", "\\", "😀"]
)
async def test_an_identity_arrives_as_it_was(
    engine: ScriptedEngine, api: UTDApi, identity: str
) -> None:
    engine.will(reply())
    await api.kick_participant("r", identity)
    (seen,) = engine.seen
    head, _, last = seen.raw_path.rpartition("/")
    assert head == "/api/v1/rooms/r/participants"
    assert unquote(last) == identity


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: 1", "/ä", "/a?b=1", "/a#b", "/../admin", "/."])
def test_a_path_that_is_not_encoded_or_climbs_is_refused(path: str) -> None:
    with pytest.raises(UTDStreamException) as caught:
        endpoint(checked_base_url("https://h"), path, {})
    assert caught.value.code is UTDErrorCode.VALIDATION
