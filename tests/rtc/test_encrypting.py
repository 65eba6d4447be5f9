"""Keys in LiveKit's hands: which are set, in which order, and again where they do not fit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field

from utd_rx import Encryption, EncryptionState, UTDErrorCode, UTDStreamException
from utd_rx.ports.verdicts import Verdicts
from utd_rx.rtc.encrypting import RETRY, Cryptors, again, changes, options_of
from utd_rx.rtc.gates import LATE, SETTLE, TrackGates
from utd_rx.rtc.reception import OPEN
from utd_rx.testing import run_virtual

OK, NEW, NONE, WRONG, MISSING = (
    EncryptionState.OK,
    EncryptionState.NEW,
    EncryptionState.NONE,
    EncryptionState.DECRYPTION_FAILED,
    EncryptionState.MISSING_KEY,
)


def named(settings: tuple[Any, ...]) -> list[tuple[str | None, int, str]]:
    return [(who, index, key.reveal().decode()) for who, index, key in settings]


def test_what_is_sent_with_is_set_last_and_nothing_twice() -> None:
    one = Encryption("one")
    two = one.with_key("two").with_key("three", index=5)
    assert named(changes(None, two, "me")) == [
        (None, 0, "one"),
        (None, 1, "two"),
        (None, 5, "three"),
    ]
    assert named(changes(one, two, "me")) == [(None, 1, "two"), (None, 5, "three")]
    assert changes(two, two, "me") == ()
    heard = one.with_key("two", sends=False)
    assert named(changes(one, heard, "me")) == [(None, 1, "two"), ("me", 0, "one")]
    each = Encryption(keys={"me": "mine", "ana": "hers"})
    assert named(changes(None, each, "me")) == [("ana", 0, "hers"), ("me", 0, "mine")]
    more = each.with_key("next of hers", identity="ana")
    assert named(changes(each, more, "me")) == [("ana", 1, "next of hers"), ("me", 0, "mine")]
    assert named(changes(None, each, "eve")) == [("me", 0, "mine"), ("ana", 0, "hers")]
    assert named(again(more, "ana", "me")) == [("ana", 1, "next of hers"), ("me", 0, "mine")]
    assert named(again(one, "ana", "me")) == [("ana", 0, "one")]
    assert again(each, "eve", "nobody") == ()


def test_what_livekit_joins_with_shows_no_key() -> None:
    options = options_of(Encryption("s3cr3t", ring_size=4, ratchet_window=3))
    assert options is not None
    assert "s3cr3t" not in repr(options)
    provider = options.key_provider_options
    assert (provider.shared_key, provider.key_ring_size) == (b"s3cr3t", 4)
    assert (provider.ratchet_window_size, provider.failure_tolerance) == (3, 0)
    each = options_of(Encryption(keys={"me": "mine"}))
    assert each is not None
    assert each.key_provider_options.shared_key is None
    assert options_of(None) is None


@define
class Provider:
    """Keeps what is set; counts how often."""

    told: list[tuple[str | None, int, bytes]] = field(factory=list)
    is_gone: bool = False

    def set_shared_key(self, key: bytes, key_index: int) -> None:
        self._set(None, key, key_index)

    def set_key(self, identity: str, key: bytes, key_index: int) -> None:
        self._set(identity, key, key_index)

    def _set(self, identity: str | None, key: bytes, index: int) -> None:
        if self.is_gone:
            raise RuntimeError(f"handle not found: {key!r}")
        self.told.append((identity, index, bytes(key)))


@define
class Cryptor:
    participant_identity: str
    track_sid: str
    index: int = 0

    def set_key_index(self, index: int) -> None:
        self.index = index


class Native:
    """A room of LiveKit's, as far as keys go."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.cryptors = [Cryptor("me", "TR_me"), Cryptor("ana", "TR_ana")]
        tracks = {"TR_me": SimpleNamespace(sid="TR_me")}
        self.theirs: dict[str, Any] = {}
        self.room: Any = SimpleNamespace(
            local_participant=SimpleNamespace(identity="me", track_publications=tracks),
            remote_participants={"ana": SimpleNamespace(track_publications=self.theirs)},
            e2ee_manager=SimpleNamespace(
                key_provider=self.provider, frame_cryptors=lambda: self.cryptors
            ),
        )

    def publishes(self, sid: str, *, encryption_type: int = 1, kind: int = 1) -> Any:
        track = SimpleNamespace(sid=sid, kind=kind)
        self.theirs[sid] = SimpleNamespace(track=track, encryption_type=encryption_type)
        return track


async def cryptors(native: Native, encryption: Encryption | None) -> Cryptors:
    ended = asyncio.get_running_loop().create_future()
    made = Cryptors(native.room, ended, encryption)
    await made.begin()
    return made


async def test_own_tracks_are_sent_with_the_key_of_now_and_those_that_follow_too() -> None:
    native, one = Native(), Encryption("one")
    made = await cryptors(native, one)
    assert native.provider.told == []  # a join takes the first
    await made.use(one.with_key("two"))
    assert native.provider.told == [(None, 1, b"two")]
    assert [each.index for each in native.cryptors] == [1, 0]
    native.cryptors.append(Cryptor("me", "TR_more"))
    made.published("TR_more")
    assert native.cryptors[-1].index == 1
    await made.use(one)
    assert native.provider.told[-1] == ("me", 0, b"one")
    assert [each.index for each in native.cryptors] == [0, 0, 1]  # of no publication


async def test_keys_that_a_join_does_not_take_are_set_after_it() -> None:
    native = Native()
    await cryptors(native, Encryption(keys={"me": "mine", "ana": "hers"}))
    assert native.provider.told == [("ana", 0, b"hers"), ("me", 0, b"mine")]


async def test_another_kind_of_encryption_is_refused() -> None:
    made = await cryptors(Native(), Encryption("one"))
    for other in (Encryption("one", ring_size=3), Encryption(keys={"me": "mine"})):
        with pytest.raises(UTDStreamException) as refused:
            made.check(other)
        assert refused.value.code is UTDErrorCode.VALIDATION
    clear = await cryptors(Native(), None)
    with pytest.raises(UTDStreamException, match="without encryption"):
        clear.check(Encryption("one"))


async def test_a_room_that_is_gone_takes_no_key_and_says_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    native, one = Native(), Encryption("one")
    made = await cryptors(native, one)
    native.provider.is_gone = True
    await made.use(one.with_key("s3cr3t"))
    assert "the room is gone" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_wrong_key_is_set_again_ever_less_often_until_it_fits() -> None:
    native, one = Native(), Encryption("one")

    async def main() -> list[int]:
        made, counts = await cryptors(native, one), list[int]()

        async def after(seconds: float) -> None:
            await asyncio.sleep(seconds)
            for _ in range(3):
                await asyncio.to_thread(lambda: None)  # what was begun there is done
            counts.append(len(native.provider.told))

        made.told("ana", WRONG)
        made.told("ana", WRONG)
        for seconds in (1.5 * RETRY, 2 * RETRY, 4 * RETRY):
            await after(seconds)
        made.told("ana", OK)
        await after(60 * RETRY)
        made.told("ana", WRONG)
        del native.room.remote_participants["ana"]
        await after(60 * RETRY)
        made.close()
        return counts

    assert run_virtual(main()) == [1, 2, 3, 3, 3]
    assert set(native.provider.told) == {("ana", 0, b"one")}


class Player:
    """What native code plays by itself."""

    def __init__(self) -> None:
        self.is_on: dict[str, bool] = {}

    def __call__(self, track: Any, is_on: bool) -> None:
        self.is_on[track.sid] = is_on


def opening(
    *steps: tuple[str, float], reads_encrypted: bool = True, is_told: bool = False
) -> list[bool]:
    """Whether a gate is open some time after each of several things."""
    native, player = Native(), Player()

    async def main() -> list[bool]:
        gates, found = TrackGates(native.room, reads_encrypted=reads_encrypted, switch=player), []
        track = native.publishes("TR_1")
        ana = native.room.remote_participants["ana"]
        if is_told:
            gates.told("ana", OK)
        for what, seconds in steps:
            match what:
                case "begins":
                    gates.begin(track)
                case "fits" | "does not":
                    gates.told("ana", OK if what == "fits" else WRONG)
                case "leaves":
                    native.room.remote_participants.pop("ana")
                    gates.left("ana")
                case "is back":
                    native.room.remote_participants["ana"] = ana
                case "ends":
                    gates.end("TR_1")
            await asyncio.sleep(seconds)
            found.append(gates.of("TR_1").is_open and "TR_1" in player.is_on)
            assert what == "ends" or player.is_on.get("TR_1", False) is found[-1]
        gates.close()
        return found

    return run_virtual(main())


def test_a_track_opens_once_its_key_fits_and_what_came_before_is_played_out() -> None:
    before, after = 0.9 * SETTLE, 0.2 * SETTLE
    assert opening(("begins", 0.1), ("fits", before), ("", after)) == [False, False, True]
    steps = ("begins", 9.0), ("fits", 1.0), ("does not", 1.0), ("fits", 0.01), ("ends", 0.0)
    assert opening(*steps) == [False, True, False, True, True]
    # Of two tracks of somebody each says so: the second does not make it later.
    assert opening(("begins", 0.1), ("fits", before), ("fits", after))[-1]
    # A word that was heard too early counts, and one that is of old does not.
    assert opening(("begins", 0.9 * LATE), ("", 0.2 * LATE), is_told=True) == [False, True]
    assert opening(("begins", 5.0), ("fits", 5.0), ("begins", 5.0)) == [False, True, False]


def test_who_has_left_is_forgotten() -> None:
    assert opening(("begins", 9.0), is_told=True) == [True]
    again = ("is back", 0.0), ("begins", 9.0)
    assert not any(opening(("leaves", 0.0), *again, is_told=True))
    assert not any(opening(("leaves", 0.0), ("fits", 0.0), *again))


async def test_what_a_reconnect_does_not_bring_back_has_no_gate() -> None:
    native = Native()
    gates = TrackGates(native.room, reads_encrypted=False, switch=Player())
    for sid in ("TR_1", "TR_2"):
        gates.begin(native.publishes(sid))
    gates.keep({"TR_1"})
    assert [gates.of(sid) is OPEN for sid in ("TR_1", "TR_2")] == [False, True]


def test_nothing_opens_where_nothing_decrypts() -> None:
    assert not any(opening(("begins", 9.0), reads_encrypted=False))
    assert not any(opening(("begins", 0.1), ("does not", 9.0)))


async def test_what_is_in_clear_is_open_and_pictures_are_nothing_to_play() -> None:
    native, player = Native(), Player()
    gates = TrackGates(native.room, reads_encrypted=False, switch=player)
    gates.begin(native.publishes("TR_clear", encryption_type=0))
    gates.begin(native.publishes("TR_video", kind=2))
    gates.begin(native.publishes("TR_sound"))
    assert [gates.of(sid).is_open for sid in ("TR_clear", "TR_video", "TR_sound", "?")] == [
        True,
        False,
        False,
        True,
    ]
    assert player.is_on == {"TR_sound": False}


def test_the_worst_of_somebodys_tracks_is_told() -> None:
    clear, locked = (SimpleNamespace(is_encrypted=is_so) for is_so in (False, True))
    verdicts: Any = Verdicts("me", reads_encrypted=True)
    assert verdicts.of("ana", []) is NONE
    assert verdicts.of("ana", [clear]) is NONE
    assert verdicts.of("ana", [locked]) is NEW
    verdicts.say("ana", OK)
    assert verdicts.of("ana", [locked]) is OK
    assert verdicts.of("ana", [locked, clear]) is NONE
    verdicts.say("ana", WRONG)
    assert verdicts.of("ana", [locked, clear]) is WRONG
    assert verdicts.of("ana", [clear]) is NONE
    assert verdicts.of("ana", [locked]) is NEW  # another track
    blind: Any = Verdicts("me", reads_encrypted=False)
    assert blind.of("ana", [locked]) is MISSING
