"""Keys of encryption: what is made of them, and that nothing shows one."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from typing import Any

import pytest

from utd_rx import Encryption, EncryptionKey, KeyDerivation, KeyRing, UTDErrorCode, to_json
from utd_rx.errors import UTDStreamException
from utd_rx.models.frozen_map import FrozenMap

SECRET = "s3cr3t-of-all"
FAST = KeyDerivation.HKDF
anything: Any = Encryption


def test_nothing_shows_a_key() -> None:
    shared = Encryption(SECRET).with_key(SECRET + "2")
    each = Encryption(keys={"ana": SECRET.encode(), "ben": EncryptionKey(SECRET)})
    for value in (shared, each, shared.key, EncryptionKey(SECRET), EncryptionKey(SECRET).reveal()):
        log = io.StringIO()
        logging.StreamHandler(log).emit(
            logging.makeLogRecord({"msg": "%r %s", "args": (value,) * 2})
        )
        for shown in (repr(value), str(value), "{}".format(*(value,)), log.getvalue()):
            assert SECRET not in shown
            assert SECRET.encode().hex() not in shown
    for credentials in (False, True):
        with pytest.raises(TypeError):
            to_json(shared, credentials=credentials)
        with pytest.raises(TypeError):
            to_json(EncryptionKey(SECRET), credentials=credentials)
    with pytest.raises(TypeError):
        json.dumps(shared, default=to_json)


@pytest.mark.parametrize("change", [{"index": 16}, {"index": -1}, {"identity": "ana"}])
def test_nor_does_what_is_raised_with_all_that_was_known_there(change: dict[str, Any]) -> None:
    try:
        Encryption(SECRET).with_key(EncryptionKey(SECRET), **change)
    except UTDStreamException as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert SECRET not in "".join(told.format()).replace("EncryptionKey(SECRET)", "")
        assert error.code is UTDErrorCode.VALIDATION
    else:
        pytest.fail("nothing was raised")


def test_a_key_is_a_value() -> None:
    key = EncryptionKey(SECRET)
    assert (
        key
        == EncryptionKey(SECRET.encode())
        == EncryptionKey(key)
        == pickle.loads(pickle.dumps(key))
    )
    assert len({key, EncryptionKey(SECRET), EncryptionKey("other")}) == 2
    assert key != EncryptionKey("other")
    assert key != SECRET
    assert key.reveal() == SECRET.encode()
    other: Any = key
    with pytest.raises(AttributeError):
        other.secret = b"x"
    shared = Encryption(SECRET, ring_size=4)
    assert pickle.loads(pickle.dumps(shared)) == shared != Encryption("other", ring_size=4)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Encryption(),
        lambda: Encryption(""),
        lambda: anything(7),
        lambda: Encryption(SECRET, keys={"ana": SECRET}),
        lambda: Encryption(keys={}),
        lambda: Encryption(keys={"": SECRET}),
        lambda: Encryption(keys={"ana": b""}),
        lambda: anything(keys=[("ana", SECRET)]),
        lambda: Encryption(SECRET, ratchet_window=-1),
        lambda: Encryption(SECRET, ring_size=0),
        lambda: Encryption(SECRET, ring_size=256),
        lambda: Encryption(SECRET, ratchet_salt=b""),
        lambda: anything(SECRET, derivation=1),
        lambda: Encryption(KeyRing(FrozenMap({1: EncryptionKey(SECRET)}))),
        lambda: Encryption(KeyRing(FrozenMap({20: EncryptionKey(SECRET)}), 20)),
        lambda: Encryption(SECRET).with_key(""),
        lambda: Encryption(SECRET).ratcheted("ana"),
        lambda: Encryption(keys={"ana": SECRET}).with_key("x"),
        lambda: Encryption(keys={"ana": SECRET}).ratcheted("ben"),
    ],
)
def test_what_is_no_encryption_is_refused(made: Any) -> None:
    with pytest.raises(UTDStreamException) as refused:
        made()
    assert refused.value.code is UTDErrorCode.VALIDATION
    assert SECRET not in str(refused.value)


def test_a_ring_keeps_what_others_may_still_send_with() -> None:
    first = Encryption("one", ring_size=3)
    second = first.with_key("two")
    third = second.with_key("three").with_key("four")
    assert first.key is not None
    assert third.key is not None
    assert (first.key.index, first.key.key) == (0, EncryptionKey("one"))
    held = {index: key.reveal() for index, key in third.key.keys.items()}
    assert (third.key.index, held) == (0, {0: b"four", 1: b"two", 2: b"three"})
    each = Encryption(keys={"ana": "a"}).with_key("b", identity="ben").with_key("c", identity="ana")
    assert {who: ring.index for who, ring in each.keys.items()} == {"ana": 1, "ben": 0}
    assert each.ring_of("eve") is None
    assert each.ring_of("ben") == each.keys["ben"]


@pytest.mark.parametrize(
    ("derivation", "ratcheted"),
    [
        (KeyDerivation.PBKDF2, "e79f5041c26ffde933da2e6b73382856265f949071e2ef4edd7869b29301f1b2"),
        (FAST, "90c008cb87949e114a0b208f2ea876974cd38e9d421fe880c0547d5573e19f45"),
    ],
)
def test_a_ratchet_makes_of_a_key_what_livekit_makes_of_it(
    derivation: KeyDerivation, ratcheted: str
) -> None:
    """Read off its native code, of the key "hello"."""
    after = Encryption("hello", derivation=derivation).ratcheted()
    assert after.key is not None
    assert after.key.key.reveal().hex() == ratcheted
    assert after.ratcheted() != after


def test_no_more_than_keys_may_be_another() -> None:
    shared = Encryption("one")
    assert shared.differs_in_keys(shared.with_key("two"))
    assert not shared.differs_in_keys(Encryption(keys={"ana": "one"}))
    for option in ({"ratchet_window": 1}, {"ring_size": 3}, {"derivation": FAST}):
        assert not shared.differs_in_keys(Encryption("one", **option))
