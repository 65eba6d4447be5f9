"""The door to LiveKit: what it hides stays behind it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from livekit.rtc import _ffi_client

import utd_rx
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.rtc import ffi, last_resort, native

PRIVATE = re.compile(r"livekit\.rtc(\._| import _)|_ffi_handle|_on_room_event|\"_token\"")


def test_private_names_of_livekit_are_used_in_three_files() -> None:
    """As `native`, pyproject.toml and docs/architecture.md say."""
    sources = Path(utd_rx.__file__).parent.rglob("*.py")
    users = {one.name for one in sources if PRIVATE.search(one.read_text())}
    assert users == {"native.py", "ffi.py", "last_resort.py"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("FfiClient", "request"), ("FfiQueue", "subscribe")],
)
def test_a_release_without_a_private_name_is_used_without_it(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(getattr(_ffi_client, kind), name)
    assert not ffi.is_available.__wrapped__()
    monkeypatch.undo()
    assert ffi.is_available.__wrapped__()


def test_livekits_log_shows_no_token_and_not_what_means_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    native.sdk()
    log = logging.getLogger("livekit")
    caplog.set_level(logging.WARNING, "livekit")  # a demo in this process wants errors alone
    noise = "%s - Attempted to drop unknown FFI handle: 7"
    log.warning("invalid token: %s, error", "eyJhbGci.eyJzdWI.c2ln")
    log.warning(noise, "server")
    log.error("publisher data channel '_lossy' closed unexpectedly")
    assert caplog.messages == ["invalid token: …, error"]
    with caplog.at_level(logging.DEBUG, "livekit"):
        log.warning(noise, "server")
    assert caplog.messages[1:] == ["server - Attempted to drop unknown FFI handle: 7"]


def test_a_library_that_does_not_load_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("failed to load livekit_ffi")

    monkeypatch.setattr(last_resort, "register", fail)
    with pytest.raises(UTDStreamException, match=r"livekit_ffi.*pip install") as caught:
        native.sdk.__wrapped__()
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
