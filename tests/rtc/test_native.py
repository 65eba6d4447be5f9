"""The door to LiveKit: what it hides stays behind it."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import _ffi_client

import utd_rx
from tests.support.descriptors import few_descriptors
from tests.support.threads import without_threads
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.protocol.wire.tokens import MAX_CREDENTIAL
from utd_rx.rtc import ffi, last_resort, native
from utd_rx.rtc.room import UTDRoom

PRIVATE = re.compile(r"livekit\.rtc(\._| import _)|_ffi_handle|_on_room_event|\"_token\"")


def test_private_names_of_livekit_are_used_in_four_files() -> None:
    """As `native`, pyproject.toml and docs/architecture.md say."""
    sources = Path(utd_rx.__file__).parent.rglob("*.py")
    users = {one.name for one in sources if PRIVATE.search(one.read_text())}
    assert users == {"native.py", "native_frames.py", "ffi.py", "last_resort.py"}


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (_ffi_client, "FfiQueue"),
        (_ffi_client, "ffi_event_callback"),
        (_ffi_client.FfiClient, "request"),
        (_ffi_client.FfiQueue, "subscribe"),
        (rtc.Room, "_on_room_event"),
    ],
)
def test_a_release_without_a_private_name_is_refused_with_those_that_have_it(
    where: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyproject = Path(utd_rx.__file__).parents[1] / "pyproject.toml"
    releases = f"livekit{native.RELEASES}"
    assert releases in tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    monkeypatch.setattr(last_resort, "register", lambda: None)
    monkeypatch.delattr(where, name)
    with pytest.raises(UTDStreamException, match=name) as caught:
        native.sdk.__wrapped__()
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
    assert f'pip install --force-reinstall "{releases}"' in caught.value.message
    monkeypatch.undo()
    assert native.sdk.__wrapped__() is rtc


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
    log.error("failed to negotiate the publisher: Called in wrong state: closed")
    assert caplog.messages == ["invalid token: …, error"]
    with caplog.at_level(logging.DEBUG, "livekit"):
        log.warning(noise, "server")
    assert caplog.messages[1:] == ["server - Attempted to drop unknown FFI handle: 7"]


@pytest.mark.parametrize("form", ["{:c}", "%{:02X}", r"\u{:04x}", "&#{};"])
def test_livekits_log_shows_no_secret_of_a_join_however_a_server_spells_it(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    native.sdk()
    caplog.set_level(logging.WARNING, "livekit")
    native.hide(None, "", "sesame-open-yourself")
    spelled = "".join(form.format(ord(one)) for one in "sesame-open-yourself")
    for before in ("400", "x" * (native.MAX_LINE - 10)):
        logging.getLogger("livekit").warning("%s %s!", before, spelled)
    assert caplog.messages == ["400 …!", f"{'x' * (native.MAX_LINE - 10)} …!"]


def test_of_secrets_the_latest_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    native.sdk()
    caplog.set_level(logging.WARNING, "livekit")
    for n in range(native.KEPT + 1):
        native.hide(f"secret-number-{n}")
        native.hide(f"secret-number-{n}")
    logging.getLogger("livekit").warning("secret-number-0, secret-number-1, and no other")
    assert caplog.messages == ["secret-number-0, …, and no other"]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Let other tests' secrets be forgotten, and this one's afterwards; LiveKit's log is ready."""
    native.sdk()
    native.hide(*(f"nobody-says-so-{n}" for n in range(native.KEPT)))
    yield
    native.hide(*(f"nobody-has-said-so-{n}" for n in range(native.KEPT)))


@pytest.mark.usefixtures("forgotten")
def test_of_long_secrets_few_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    secrets = [f"long-secret-{n}." + "x" * (MAX_CREDENTIAL - 20) for n in range(3)]
    assert 2 * MAX_CREDENTIAL <= native.MAX_KEPT
    native.hide("sesame-open-myself", *secrets[:2])
    native.hide(secrets[2])
    native.hide("endless-secret." + "x" * MAX_CREDENTIAL)
    names = "sesame-open-myself, long-secret-0, long-secret-1, long-secret-2, endless-secret"
    logging.getLogger("livekit").warning(names)
    assert caplog.messages == ["sesame-open-myself, long-secret-0, …, …, endless-secret"]


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("before", range(0, 120, 7))
def test_of_a_line_without_end_the_beginning_is_looked_at_and_no_secret_is_parted(
    before: int, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "".join(f"{number * 7 % 256:02x}" for number in range(60))
    native.hide(secret)
    line = f"{secret} " * (2 * native.MAX_READ // len(secret))
    logging.getLogger("livekit").warning("%s%s the end", "y" * before, line)
    logging.getLogger("livekit").warning("%s the end", line[: native.MAX_READ - 20])
    logging.getLogger("livekit").warning("%s the end", "words " * native.MAX_READ)
    endless, longest, words = caplog.messages
    assert set(endless) <= {"y", "…", " "}
    assert longest.endswith(" the end")
    assert words.startswith("words words")
    assert len(words) == native.MAX_LINE + 1


async def test_a_token_without_end_is_neither_kept_nor_used() -> None:
    longest = "x" * MAX_CREDENTIAL
    room: Any = SimpleNamespace(_token=longest)
    assert native.newest_token(room) == longest
    room = SimpleNamespace(_token=longest + "x")
    assert native.newest_token(room) is None
    with pytest.raises(UTDStreamException, match="fetch another") as caught:
        await UTDRoom().connect("ws://127.0.0.1:9", longest + "x")
    assert caught.value.code is UTDErrorCode.VALIDATION


def test_livekits_log_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    native.sdk()
    caplog.set_level(logging.WARNING, "livekit")
    request = "SetSharedKeyRequest { shared_key: [115, 51, 99], key_index: 1 }"
    options = "KeyProviderOptions { shared_key: Some([115, 51, 99]), ratchet_salt: [1] }"
    for line in (request, options):
        logging.getLogger("livekit").warning("failed to handle request %s", line)
    assert caplog.messages == [
        "failed to handle request SetSharedKeyRequest { shared_key: […], key_index: 1 }",
        "failed to handle request KeyProviderOptions { shared_key: Some([…]), ratchet_salt: [1] }",
    ]


def test_what_is_not_decrypted_is_told_ever_less_often(caplog: pytest.LogCaptureFixture) -> None:
    native.sdk()
    caplog.set_level(logging.WARNING, "livekit")
    for _ in range(1_000):
        logging.getLogger("livekit").warning("Failed to decrypt data packet from %s", "ana")
    assert 1 <= len(caplog.messages) <= 10


def test_livekits_log_quotes_servers_in_one_line_of_some_length(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    native.sdk()
    monkeypatch.setattr(native, "_secrets", ())  # as before the first join
    caplog.set_level(logging.WARNING, "livekit")
    logging.getLogger("livekit").warning("%s", "503 \x1b[2J\r\nERROR \u202e" + "x" * 200_000)
    [line] = caplog.messages
    assert line.startswith("503 \ufffd[2J ERROR \ufffdxxx")
    assert line.isprintable()
    assert len(line) == native.MAX_LINE + 1


def test_a_library_that_does_not_load_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("failed to load livekit_ffi")

    monkeypatch.setattr(last_resort, "register", fail)
    with pytest.raises(UTDStreamException, match=r"livekit_ffi.*pip install") as caught:
        native.sdk.__wrapped__()
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED


@pytest.mark.parametrize(
    ("where", "maker", "name"),
    [
        (rtc.Room, "__init__", "_token"),
        (rtc.Room, "__init__", "_ffi_handle"),
        (rtc.Room, "connect", "_ffi_queue"),
        (rtc.Track, "__init__", "_ffi_handle"),
        (rtc.AudioSource, "__init__", "_ffi_handle"),
        (rtc.AudioStream, "__init__", "_ffi_queue"),
        (rtc.VideoStream, "__init__", "_loop"),
    ],
)
def test_what_only_objects_have_is_looked_for_in_what_makes_them(
    where: type, maker: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ffi.check()

    def make(*_: object) -> None:
        """Set nothing."""

    monkeypatch.setattr(where, maker, make)
    with pytest.raises(AttributeError, match="knows no _"):
        ffi.check()


async def test_who_takes_from_a_queue_that_is_never_empty_gives_way() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    room: Any = SimpleNamespace(_ffi_queue=queue)
    native.listen(room, lambda name, args: None)
    for number in range(400):
        queue.put_nowait(number)
    taken: list[int] = []
    turns = [0]

    async def take() -> None:
        while len(taken) < 400:
            taken.append(await queue.get())
            busy_until = time.perf_counter() + native.TURN / 40
            while time.perf_counter() < busy_until:
                pass

    async def count_turns() -> None:
        while True:
            turns.append(len(taken))
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await take()
    counting.cancel()
    assert taken == list(range(400))
    assert max(later - before for before, later in pairwise(turns)) <= 41, "of 40 each"


async def test_what_comes_to_an_empty_queue_is_taken_in_the_turn_in_which_it_comes() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    native.take_turns(queue)
    taking = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert await taking == 1
    assert await queue.get() == 2


async def test_without_threads_a_join_is_refused_and_later_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "sdk", cache(native.sdk.__wrapped__))
    room = UTDRoom()
    for _ in range(2):  # the first leaves nothing behind
        with without_threads(), pytest.raises(UTDStreamException, match="ulimit -u") as caught:
            await room.connect("ws://127.0.0.1:9", "token")
        assert caught.value.code is UTDErrorCode.NETWORK
    await native.ready()
    assert native.sdk() is rtc
    await room.aclose()


async def test_without_descriptors_nothing_native_is_begun() -> None:
    native.new_room()
    with few_descriptors(native.DESCRIPTORS - 1), pytest.raises(UTDStreamException) as caught:
        native.new_room()
    assert caught.value.code is UTDErrorCode.NETWORK
    assert "ulimit -n" in caught.value.message
    native.new_room()
