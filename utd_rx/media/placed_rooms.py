"""`PlacedRooms`: makes the rooms of a client, where they are to live."""

from __future__ import annotations

from typing import Any

from utd_rx.audio.handle import DeviceHandle
from utd_rx.audio.microphone import MicrophoneInput
from utd_rx.media import devices
from utd_rx.media.choice import Media, chosen
from utd_rx.media.house import Hold, House, place
from utd_rx.ports.one_loop import this_loop
from utd_rx.ports.proxy import DIRECT, Proxies
from utd_rx.ports.room import RoomPort
from utd_rx.rtc.room import UTDRoom
from utd_rx.video.camera import Camera
from utd_rx.video.screen import Screen

_DEVICES = (DeviceHandle, MicrophoneInput, Camera, Screen)


class PlacedRooms:
    """Makes rooms that live in this process or apart.

    Args:
        media: Where they are to live; None as `utd_rx.media.choice` finds it.
        adaptive_stream: As of `UTDRoom`, like the rest.
        dynacast: Likewise.
        proxies: Likewise.
        allow_clear_text: Likewise.
    """

    def __init__(
        self,
        media: Media | None = None,
        *,
        adaptive_stream: bool = True,
        dynacast: bool = True,
        proxies: Proxies = DIRECT,
        allow_clear_text: bool = False,
    ) -> None:
        self._media = chosen(media)
        self._options: dict[str, Any] = {
            "adaptive_stream": adaptive_stream,
            "dynacast": dynacast,
            "proxies": proxies,
            "allow_clear_text": allow_clear_text,
        }
        UTDRoom(**self._options)  # which says what is wrong with them
        self._hold: Hold | None = None

    def begin(self, *sources: object) -> None:
        """Start the process now, if rooms with these sources are to live apart."""
        if self._hold is None and (there := self._place(sources)) is not None:
            self._hold = there.hold()

    def make(self, *sources: object) -> RoomPort:
        """Return a room that is to publish these; None for one it has not.

        Raises:
            UTDStreamException: `CONFLICT`: no loop runs here, so that no session could have it.
        """
        this_loop("session")
        if (there := self._place(sources)) is None:
            return UTDRoom(**self._options)
        return there.room(devices.bring, **self._options)

    async def aclose(self) -> None:
        """Let go of the process; rooms that are not closed keep it. Idempotent."""
        if self._hold is not None:
            await self._hold.release()

    def _place(self, sources: tuple[object, ...]) -> House | None:
        has_device = devices.are_about() or any(isinstance(one, _DEVICES) for one in sources)
        return place(self._media, has_device=has_device)
