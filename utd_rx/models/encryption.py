"""End-to-end encryption: its keys, and how it is with what somebody publishes.

The media server passes on what it cannot read. `livekit.rtc`, `livekit-client` and the others of
LiveKit's SDKs understand each other where key, index, salt and derivation are the same
(docs/livekit.md, "Encryption").
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, field, frozen
from attrs.converters import optional

from utd_rx.errors import invalid
from utd_rx.models.checks import flag, typed, whole
from utd_rx.models.checks import identity as checked_identity
from utd_rx.models.connection import OrUnknown
from utd_rx.models.frozen_map import FrozenMap

RATCHET_SALT: Final = b"LKFrameEncryptionKey"
"""The salt of all of LiveKit's SDKs, unless they are told another."""

MAX_RING: Final = 255
"""Keys of a ring: a frame names its key in one byte."""

_ROUNDS: Final = 100_000
"""Of PBKDF2, as LiveKit's native code and its browsers' derive keys."""

_EXPANDED: Final = bytes(128) + b"\x01"
"""HKDF's info there, and the number of its first block, which is all of a key of 32 bytes."""


class EncryptionState(OrUnknown):
    """How it is with the encryption of what a participant publishes, the worst of its tracks.

    Of who publishes nothing that is encrypted it is that of the last message: `NONE`, or why it
    could not be read, where nobody of that identity is in another room of the process.
    """

    UNKNOWN = -1
    NONE = -2
    """Something of it is in clear, or there is nothing."""
    NEW = 0
    """It is announced as encrypted; nothing of it has been read yet."""
    OK = 1
    """It is encrypted, and the key fits."""
    ENCRYPTION_FAILED = 2
    """Of this client: its sound and pictures are not sent."""
    DECRYPTION_FAILED = 3
    """The key is a wrong one: silence is heard, and nothing seen or read."""
    MISSING_KEY = 4
    """There is no key for it here: silence is heard, and nothing seen or read."""
    INTERNAL_ERROR = 6


class KeyDerivation(Enum):
    """How what encrypts is made of a key; all in a room do it in one way."""

    PBKDF2 = 0
    """Slow on purpose, for what people can remember; a browser's, of a key that is text."""
    HKDF = 1
    """For 16 bytes of chance or more; a browser's, of a key that is an `ArrayBuffer`."""


class EncryptionKey:
    """A key, which nothing shows: no repr, log, recording or JSON. Equal to one that is the same.

    Args:
        secret: Text, which is taken as UTF-8, or bytes.

    Raises:
        UTDStreamException: `VALIDATION`: it is neither, or empty.
    """

    __slots__ = ("_secret",)
    _secret: bytes

    def __init__(self, secret: str | bytes | EncryptionKey) -> None:
        if isinstance(secret, EncryptionKey):
            raw = secret.reveal()
        elif isinstance(secret, str):
            raw = secret.encode("utf-8", "surrogatepass")
        else:
            raw = secret if isinstance(secret, bytes) else b""
        if not raw:
            raise invalid("a key of encryption is text or bytes, and not empty")
        object.__setattr__(self, "_secret", _Unshown(raw))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a key does not change")

    def reveal(self) -> bytes:
        """Return what it is, as bytes whose repr does not show them."""
        return self._secret

    def __repr__(self) -> str:
        return "EncryptionKey(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncryptionKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self._secret)

    def __reduce__(self) -> tuple[type[EncryptionKey], tuple[bytes]]:
        return EncryptionKey, (bytes(self._secret),)


class _Unshown(bytes):
    def __repr__(self) -> str:
        return "b'…'"

    __str__ = __repr__


@frozen(field_transformer=typed)
class KeyRing:
    """The keys of one, or of all, by index; `index` is what is sent with, the others are kept for
    what comes: so keys can be changed while not everybody has the new one yet."""

    keys: FrozenMap[int, EncryptionKey]
    index: int = 0

    @property
    def key(self) -> EncryptionKey:
        """The one that is sent with."""
        return self.keys[self.index]


def _ring(given: str | bytes | EncryptionKey | KeyRing) -> KeyRing:
    return given if isinstance(given, KeyRing) else KeyRing(FrozenMap({0: EncryptionKey(given)}))


def _rings(given: Mapping[str, str | bytes | EncryptionKey | KeyRing]) -> FrozenMap[str, KeyRing]:
    if not isinstance(given, Mapping):
        raise invalid("keys are a mapping of identities to a key of each")
    return FrozenMap((checked_identity(who), _ring(ring)) for who, ring in given.items())


@frozen(field_transformer=typed)
class Encryption:
    """What a room is encrypted with, end to end: one key for all, or one of each participant.

    What this client publishes and sends is encrypted; of others it reads what is, too, and what is
    in clear as it comes: their `encryption` says which.

    Args:
        key: The one that all in the room share, as text or bytes.
        keys: One of each participant instead, this client's own among them, by identity.
        ratchet_window: How many ratchets of a key are tried before it counts as a wrong one.
        ratchet_salt: What keys are derived with; that of LiveKit's SDKs by default.
        ring_size: For how many indices of keys there is room.
        derivation: How.

    Raises:
        UTDStreamException: `VALIDATION`: no key, both kinds of them, or a number out of its range.
    """

    key: KeyRing | None = field(default=None, converter=optional(_ring))
    keys: FrozenMap[str, KeyRing] = field(factory=FrozenMap, converter=_rings)
    ratchet_window: int = field(default=16, kw_only=True)
    ratchet_salt: bytes = field(default=RATCHET_SALT, kw_only=True, repr=False)
    ring_size: int = field(default=16, kw_only=True)
    derivation: KeyDerivation = field(default=KeyDerivation.PBKDF2, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (self.key is None) is not bool(self.keys):
            raise invalid("encryption takes the key that all share, or the keys of each")
        whole(self.ratchet_window, "ratchet_window", 0, 255)
        whole(self.ring_size, "ring_size", 1, MAX_RING)
        if not self.ratchet_salt:
            raise invalid("ratchet_salt is not empty")
        for ring in self.rings.values():
            if ring.index not in ring.keys:
                raise invalid(f"a ring of keys sends with index {ring.index}, and has no such key")
            for index in ring.keys:
                whole(index, "the index of a key", 0, self.ring_size - 1)

    @property
    def rings(self) -> Mapping[str | None, KeyRing]:
        """The keys by identity, or under None those that all share."""
        shared = [] if self.key is None else [(None, self.key)]
        return dict[str | None, KeyRing]([*shared, *self.keys.items()])

    def ring_of(self, identity: str | None) -> KeyRing | None:
        """Return the keys that `identity` sends with, None while there are none."""
        return self.keys.get(identity or "") if self.key is None else self.key

    def differs_in_keys(self, other: Encryption) -> bool:
        """Whether no more than keys is another in `other`, which can change while joined."""
        if (self.key is None) is not (other.key is None):
            return False
        return evolve(self, key=other.key, keys=other.keys) == other

    def with_key(
        self,
        key: str | bytes | EncryptionKey,
        *,
        index: int | None = None,
        identity: str | None = None,
        sends: bool = True,
    ) -> Encryption:
        """Return it with another key.

        Args:
            key: The new one.
            index: Its place in the ring; None is the next.
            identity: Whose, where each has one of its own.
            sends: Whether it is sent with from then on; False is to read what comes with it.

        Raises:
            UTDStreamException: `VALIDATION`: no such index, or an identity where all share one, or
                none where they do not.
        """
        key = EncryptionKey(key)
        ring = self._chosen(identity)
        if index is None:
            index = 0 if ring is None else (ring.index + 1) % self.ring_size
        whole(index, "the index of a key", 0, self.ring_size - 1)
        kept = FrozenMap[int, EncryptionKey]() if ring is None else ring.keys
        sent = index if ring is None or flag(sends, "sends") else ring.index
        return self._with(identity, KeyRing(FrozenMap({**kept, index: key}), sent))

    def ratcheted(self, identity: str | None = None) -> Encryption:
        """Return it with the key that is sent with ratcheted: made into one that does not tell the
        one before. Others follow by themselves where their `ratchet_window` is not 0.

        It takes 20 ms of a core with PBKDF2. Raises as `with_key`; `VALIDATION` without a key.
        """
        ring = self._chosen(identity)
        if ring is None:
            raise invalid(f"there is no key of {identity!r} to ratchet")
        secret = ring.key.reveal()
        if self.derivation is KeyDerivation.PBKDF2:
            new = hashlib.pbkdf2_hmac("sha256", secret, self.ratchet_salt, _ROUNDS)
        else:
            new = hmac.digest(hmac.digest(self.ratchet_salt, secret, "sha256"), _EXPANDED, "sha256")
        keys = FrozenMap({**ring.keys, ring.index: EncryptionKey(new)})
        return self._with(identity, KeyRing(keys, ring.index))

    def _chosen(self, identity: str | None) -> KeyRing | None:
        if (identity is None) is (self.key is None):
            one = "an identity says whose key" if self.key is None else "all share one key"
            raise invalid(f"{one}: pass identity= where there is a key of each, and else none")
        return self.ring_of(identity)

    def _with(self, identity: str | None, ring: KeyRing) -> Encryption:
        if identity is None:
            return evolve(self, key=ring)
        return evolve(self, keys={**self.keys, identity: ring})
