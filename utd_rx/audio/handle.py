"""What the app holds of a device: a key, its wishes, its state, and the port to talk to.

Commands and state are values that cross the port; what cannot, a sink or a voice, is found by the
key where the device is alive, and is `NOT_FOUND` where that is another process.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDStreamException, conflict, invalid
from utd_rx.models.audio import AudioFormat
from utd_rx.models.device_state import FLOOR_DBFS, MicrophoneState, SpeakerState
from utd_rx.models.devices import AudioDevice, DeviceChoice, DeviceKey
from utd_rx.ports.audio import Abilities, AudioPort, Order, SetMuted, Settings, SetWatched
from utd_rx.ports.one_loop import this_loop
from utd_rx.state import StateSubject, Store

S = TypeVar("S", bound=MicrophoneState | SpeakerState)

BackendName: TypeAlias = Literal["portaudio", "platform"]
"""Who moves the sound: this package with frames, or WebRTC without."""

Backend: TypeAlias = BackendName | AudioPort

_ADAPTERS: Final = {"portaudio": "utd_rx.audio.adapter", "platform": "utd_rx.rtc.platform_audio"}
"""Where the port is served, by name: audio and rtc import nothing of each other, and no library is
loaded before a device is opened (docs/architecture.md)."""

_PLACED: Final = "utd_rx.media.devices"
"""What serves devices that may live in a process of their own: by name, since it is above this."""


def port_of(backend: Backend) -> AudioPort:
    """Return the port of this process that is meant; `VALIDATION` for a name that there is not."""
    if not isinstance(backend, str):
        return backend
    if backend not in _ADAPTERS:
        raise invalid(f"backend is one of {', '.join(_ADAPTERS)}, or a port, not {backend!r}")
    port: AudioPort = import_module(_ADAPTERS[backend]).port()
    return port


def placed_port(backend: Backend, media: str | None) -> AudioPort:
    """Return the port of devices that live as `media` says (`utd_rx.media.choice`)."""
    port = port_of(backend)
    if isinstance(backend, str):
        port = import_module(_PLACED).devices(backend, media)
    return port


class DeviceHandle(Generic[S]):
    """One microphone or speaker of the app; `owned` are the fields of its state that it decides."""

    def __init__(
        self, noun: str, settings: Settings, state: S, port: AudioPort, owned: Sequence[str]
    ) -> None:
        self.key: Final = DeviceKey(noun)
        self.abilities: Final[Abilities] = port.abilities
        self._settings: Any = settings
        self._port = port
        self._owned = owned
        self._store: Store[S, Callable[[S], S]] = Store(
            state,
            lambda state, change: change(state),
            on_observed=partial(_call, weakref.WeakMethod(self._watch)),
        )
        self._is_watched = True
        select = self._store.select
        self.state: StateSubject[S] = select(lambda s: s, name="state")
        self.muted: StateSubject[bool] = select(lambda s: s.is_muted, name="muted")
        self.device: StateSubject[AudioDevice | None] = select(lambda s: s.device, name="device")
        self.failure: StateSubject[UTDStreamException | None] = select(
            lambda s: s.failure, name="failure"
        )
        self.statistics: StateSubject[Any] = select(lambda s: s.statistics, name="statistics")
        self._level: StateSubject[float] = select(
            lambda s: FLOOR_DBFS if s.level is None else s.level, name="level"
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._closing: asyncio.Task[None] | None = None
        port.add(self.key, settings)
        weakref.finalize(self, port.forget, self.key).atexit = False

    def __repr__(self) -> str:
        now, muted = self._store.state, ", muted" * self._store.state.is_muted
        where = repr(now.device.name) if now.device else "closed" if self._closing else "not open"
        return f"<{type(self).__name__} {where}{muted}>"

    @property
    def format(self) -> AudioFormat:
        """The format of its frames; a speaker converts those of other formats."""
        found: AudioFormat = self._settings.format
        return found

    @property
    def level(self) -> StateSubject[float]:
        """Of the last 50 ms, in dBFS; `FEATURE_DISABLED` with the platform backend."""
        self._need_frames("levels")
        return self._level

    async def use(self, device: DeviceChoice) -> None:
        """Change to another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then. `FEATURE_DISABLED` for a
                speaker of the platform that is open, `CONFLICT` after `aclose`.
        """
        self._need_open()
        await self._port.use(self.key, device)
        self._settings = evolve(self._settings, device=device)

    def mute(self) -> None:
        """Be silent from the next frame on; time goes on.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend, `CONFLICT` after
                `aclose`.
        """
        self._set_muted(True)

    def unmute(self) -> None:
        """Let sound through again; raises as `mute`."""
        self._set_muted(False)

    async def aclose(self) -> None:
        """Close the device and complete every stream; values stay readable. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        this_loop(self.key.kind)
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(), name=f"utd_rx.audio: close the {self.key.kind}"
            )
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._port.close(self.key, for_good=True)
        self._detach()
        self._store.close()

    def _attach(self) -> None:
        """Let observers be called on this loop from now on."""
        loop = this_loop(self.key.kind)
        if self._loop is not loop:
            # Before it lets go: whether it is open is known to who listens.
            stop = self._port.listen(self.key, self._told)
            self._detach()
            self._loop, self._stop_listening = loop, stop
            self._watch()

    def _detach(self) -> None:
        stop, self._stop_listening, self._loop = self._stop_listening, None, None
        if stop is not None:
            stop()

    def _watch(self) -> None:
        """Be told as often as somebody observes; any thread."""
        if self._is_watched is not self._store.is_observed:
            self._is_watched = self._store.is_observed
            self._port.order(self.key, SetWatched(self._is_watched))

    def _told(self, states: tuple[Any, ...]) -> None:
        self._watch()  # who observes no more is not heard of
        for told in states:
            self._store.offer(partial(self._merge, told))

    def _merge(self, told: S, mine: S) -> S:
        # A wish is the app's from when it is said, not from when the other side has heard of it.
        owned = {name: getattr(mine, name) for name in self._owned}
        is_so = all(getattr(told, name) == it for name, it in owned.items())
        return told if is_so else evolve(told, **owned)

    def _wish(self, order: Order, **changes: Any) -> None:
        """Hand over an order, and show what it changes."""
        self._need_open()
        self._port.order(self.key, order)
        self._keep(**changes)

    def _keep(self, **changes: Any) -> None:
        self._settings = evolve(self._settings, **changes)
        self._store.offer(lambda state: evolve(state, **changes))

    def _set_muted(self, is_muted: bool) -> None:
        self._need_frames("a mute of its own", "mute it in its room, set_microphone(False)")
        self._wish(SetMuted(is_muted), is_muted=is_muted)

    def _need_open(self) -> None:
        if self._closing is not None:
            raise conflict(
                ConflictReason.CLOSED, f"the {self.key.kind} is closed for good: make another one"
            )

    def _need_frames(self, what: str, instead: str = "") -> None:
        if not self.abilities.has_frames:
            raise self.abilities.lack(what, instead)


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Call it, unless its object is gone."""
    there = method()
    if there is not None:
        there()
