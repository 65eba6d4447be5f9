"""The keys of one connection, in LiveKit's native code, which encrypts and decrypts.

By itself it tries a wrong key once and never again, until a key is set (docs/livekit.md,
"Encryption"): so what does not fit is set again, less and less often, as when somebody changes a
key before others do. Setting one takes 30 ms, on a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.encryption import Encryption, EncryptionKey, EncryptionState
from utd_rx.ports.threads import in_thread
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

RETRY: Final = 1.0
SLOWEST_RETRY: Final = 30.0
"""Seconds until a key that did not fit is tried again, doubling: each try costs native code half a
second of a core with a ratchet window of 16."""

_Setting: TypeAlias = tuple[str | None, int, EncryptionKey]
"""Whose key it is, None being all that share it; its index; and the key."""


def options_of(encryption: Encryption | None) -> rtc.E2EEOptions | None:
    """Return what LiveKit joins with."""
    if encryption is None:
        return None
    sdk = native.sdk()
    ring = encryption.key
    first = None if ring is None else ring.keys.get(0, ring.key).reveal()
    keys = sdk.KeyProviderOptions(
        shared_key=first,
        ratchet_salt=encryption.ratchet_salt,
        ratchet_window_size=encryption.ratchet_window,
        failure_tolerance=0,  # else a wrong key is told late, or not at all
        key_ring_size=encryption.ring_size,
        key_derivation_function=encryption.derivation.value,
    )
    options: rtc.E2EEOptions = sdk.E2EEOptions(key_provider_options=keys)
    return options


def changes(before: Encryption | None, after: Encryption, me: str) -> tuple[_Setting, ...]:
    """Return which keys to set, in order. Data is sent with the index that was set last, whosever
    it was: so the one that `me` sends with comes at the end, for `me` alone where it is known."""
    known = set() if before is None else set(_settings(before))
    own = sent_with(after, me)
    new = [one for one in _settings(after) if one not in known and one != own]
    if own is None:
        return tuple(new)
    if own not in known:
        return (*new, own)
    is_as_before = before is not None and sent_with(before, me) == own
    return tuple(new) if is_as_before and not new else (*new, (me, *own[1:]))


def again(encryption: Encryption, identity: str, me: str) -> tuple[_Setting, ...]:
    """Return which keys to set for what `identity` sends to be tried again: of theirs alone, since
    a shared key that is set is derived anew for everybody, who hear nothing meanwhile."""
    theirs, own = sent_with(encryption, identity), sent_with(encryption, me)
    if theirs is None:
        return ()
    ours = () if encryption.key is not None or own is None or identity == me else (own,)
    return ((identity, *theirs[1:]), *ours)


def sent_with(encryption: Encryption, identity: str) -> _Setting | None:
    """Return the key that `identity` sends with, None while there is none."""
    ring = encryption.ring_of(identity)
    if ring is None:
        return None
    return identity if encryption.key is None else None, ring.index, ring.key


def _settings(encryption: Encryption) -> Iterator[_Setting]:
    for identity, ring in encryption.rings.items():
        for index, key in ring.keys.items():
            yield identity, index, key


class Cryptors:
    """What encrypts and decrypts in one connection, `encryption` being None where nothing does."""

    def __init__(
        self, room: rtc.Room, ended: asyncio.Future[None], encryption: Encryption | None
    ) -> None:
        self._room, self._ended = room, ended
        self._encryption = encryption
        self._changing = asyncio.Lock()
        # Of those whose key does not fit: when it is tried again, and how long it is waited then.
        self._retries: dict[str, tuple[asyncio.TimerHandle, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Set the keys that a join does not take. Cancelling lets it go on."""
        if self._encryption is not None:
            ring = self._encryption.key
            if ring is None or len(ring.keys) > 1 or ring.index:
                await self._shielded(changes(None, self._encryption, self._me))

    def check(self, encryption: Encryption) -> None:
        """Raise `VALIDATION` for what this connection cannot be encrypted with from now on."""
        if self._encryption is None:
            raise invalid("the room was joined without encryption: join it with some")
        if not self._encryption.differs_in_keys(encryption):
            raise invalid("only keys can change while joined: leave, and join with the others")

    async def use(self, encryption: Encryption) -> None:
        """Change the keys to those, which were checked. Cancelling lets it go on."""
        before, self._encryption = self._encryption, encryption
        for identity in self._retries:
            self._wait(identity, RETRY)
        await self._shielded(changes(before, encryption, self._me))

    def has_key_of(self, identity: str) -> bool:
        """Whether there is a key for what somebody sends, be it a wrong one."""
        return self._encryption is not None and sent_with(self._encryption, identity) is not None

    def published(self, sid: str) -> None:
        """A track of this client's is published: it is sent with the key of now, and not with that
        of index 0, as each begins."""
        own = None if self._encryption is None else sent_with(self._encryption, self._me)
        if own is not None:
            for cryptor in self._room.e2ee_manager.frame_cryptors():
                if cryptor.participant_identity == self._me and cryptor.track_sid == sid:
                    cryptor.set_key_index(own[1])

    def told(self, identity: str, state: EncryptionState) -> None:
        """What somebody publishes is, or is not, what the key fits."""
        if state is not EncryptionState.DECRYPTION_FAILED:
            self.gone(identity)
        elif identity not in self._retries:
            self._wait(identity, RETRY)

    def gone(self, identity: str) -> None:
        """Nothing of theirs has to be tried again."""
        timer, _ = self._retries.pop(identity, (None, 0.0))
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Try nothing again. Idempotent."""
        for identity in tuple(self._retries):
            self.gone(identity)

    # -- shared ---------------------------------------------------------------------------------

    @property
    def _me(self) -> str:
        return str(self._room.local_participant.identity)

    def _wait(self, identity: str, pause: float) -> None:
        if identity in self._retries:
            self._retries[identity][0].cancel()
        timer = asyncio.get_running_loop().call_later(pause, self._try_again, identity)
        self._retries[identity] = timer, min(2 * pause, SLOWEST_RETRY)

    def _try_again(self, identity: str) -> None:
        _, pause = self._retries[identity]
        is_here = identity in self._room.remote_participants and not self._ended.done()
        if self._encryption is None or not is_here:
            self.gone(identity)
            return
        # Also if it fails again: native code says so once.
        self._wait(identity, pause)
        self._start(again(self._encryption, identity, self._me))

    async def _shielded(self, settings: tuple[_Setting, ...]) -> None:
        await asyncio.shield(self._start(settings))

    def _start(self, settings: tuple[_Setting, ...]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._set(settings), name="utd_rx.rtc: set keys")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _set(self, settings: tuple[_Setting, ...]) -> None:
        async with self._changing:
            if self._ended.done():
                raise conflict(ConflictReason.LEFT, "The connection ended.")
            provider = self._room.e2ee_manager.key_provider
            assert provider is not None
            await in_thread(_set_all, provider, settings)
            for publication in self._room.local_participant.track_publications.values():
                self.published(publication.sid)


def _set_all(provider: rtc.KeyProvider, settings: tuple[_Setting, ...]) -> None:
    for identity, index, key in settings:
        try:
            if identity is None:
                provider.set_shared_key(key.reveal(), index)
            else:
                provider.set_key(identity, key.reveal(), index)
        except Exception:  # noqa: BLE001 - whose traceback holds the key
            logger.warning("a key was not set: the room is gone")
            return


_RATCHETED: Final = {5: EncryptionState.OK.value}
"""LiveKit's number for a key that was ratcheted, of which it says that it fits as well."""


def state_of(number: int) -> EncryptionState:
    """Return what a cryptor of LiveKit's says; a ratcheted key is one that fits."""
    return EncryptionState(_RATCHETED.get(number, number))
