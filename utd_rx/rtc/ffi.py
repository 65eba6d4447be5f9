"""LiveKit's native interface, which is private ground: `check` looks for all that is used of it.

What `livekit.rtc` does not offer is a request to it, or an event of it; `native_frames` has those
that carry frames.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from utd_rx.ports.data import SelfDescription
from utd_rx.ports.methods import MethodRequest
from utd_rx.rtc import native_frames

if TYPE_CHECKING:
    from livekit import rtc


def check() -> None:
    """Raise `ImportError` or `AttributeError` if this livekit lacks a private name used here, in
    `native`, in `native_frames` or in `last_resort`.

    What objects of it have is not there yet: that their code names it is all that can be known.
    """
    from livekit.rtc import AudioSource, AudioStream, Room, Track, TrackPublication, VideoStream
    from livekit.rtc._ffi_client import FfiClient, FfiHandle, FfiQueue
    from livekit.rtc._proto import ffi_pb2

    event, request = ffi_pb2.FfiEvent(), ffi_pb2.FfiRequest()
    _ = FfiClient.request, FfiClient.queue, FfiClient._dispose, FfiHandle.dispose
    _ = FfiHandle.disposed, FfiQueue.subscribe, FfiQueue.unsubscribe, Room._on_room_event
    _ = event.connect, event.disconnect
    _ = request.disconnect.request_async_id, request.ready_for_room_event.room_handle
    _ = request.connect.options.join_retries
    _switch_request(0, True)
    _size_request(0, 0, 0)
    for said in ({"name": "x"}, {"metadata": "x"}, {"attributes": {"x": ""}}):
        described = _description_request(0, SelfDescription(**said))
        answer = getattr(event, described.WhichOneof("message"))
        _ = answer.async_id, answer.error
    called = event.perform_rpc
    _ = called.async_id, called.payload, called.error.code, called.error.message, called.error.data
    _method_request(0, MethodRequest("x", "", "x"), 1.0)
    for code, name in (
        *((each.__init__, "_ffi_handle") for each in (Room, Track, TrackPublication, AudioSource)),
        (Room.__init__, "_token"),
        (Room.connect, "_ffi_queue"),
        (Room.connect, "_task"),
        *((each.__init__, "_ffi_queue") for each in (AudioStream, VideoStream)),
        *((each.__init__, "_loop") for each in (Room, AudioStream, VideoStream)),
    ):
        if name not in code.__code__.co_names:
            raise AttributeError(f"{code.__qualname__} knows no {name}")
    native_frames.check()


def client() -> Any:
    """Return LiveKit's end of its native interface."""
    from livekit.rtc._ffi_client import FfiClient

    return FfiClient.instance


numbers: Final = count(2**62)
"""Of requests, as this side gives them: so who waits for an answer knows before it asks. LiveKit's
own begin at 1."""


def watch(hear: Callable[[Any], None]) -> Callable[[], None]:
    """Show every native event to `hear`, on LiveKit's threads and under its lock; call to stop."""

    def keep_nothing(event: Any) -> bool:
        hear(event)
        return False

    events = client().queue
    no_loop: Any = object()  # nothing is handed to it
    return partial(events.unsubscribe, events.subscribe(no_loop, filter_fn=keep_nothing))


def spare_finalizers(*types: type[Any]) -> None:
    """Make finalizers of LiveKit's that unsubscribe wait for no lock: waiting there stopped the
    process for good (docs/livekit.md, "Finalizers that wait")."""
    for each in types:
        each.__del__ = _unsubscribe_later


_is_joining_once: Final = ContextVar("_is_joining_once", default=False)


def join_once() -> None:
    """Have LiveKit not repeat the joins of this task by itself, as its API cannot be told
    (docs/livekit.md, "Joins at the same moment")."""
    _is_joining_once.set(True)


def mind_join_once(client_type: type[Any]) -> None:
    """Have requests to join mind `join_once`."""
    request = client_type.request
    if request.__module__ == __name__:
        return

    def asked(self: Any, asking: Any) -> Any:
        if _is_joining_once.get() and asking.WhichOneof("message") == "connect":
            asking.connect.options.join_retries = 0
        return request(self, asking)

    client_type.request = asked


_orphans: Final[deque[Any]] = deque()
"""Subscriptions whose loop had ended before they were given up."""


def _unsubscribe_later(owner: Any) -> None:
    subscribed = getattr(owner, "_ffi_queue", None)
    if subscribed is None:
        return
    try:
        owner._loop.call_soon_threadsafe(_unsubscribe, subscribed)  # takes no lock
    except RuntimeError:  # its loop is closed
        _orphans.append(subscribed)


def _unsubscribe(subscribed: Any) -> None:
    client().queue.unsubscribe(subscribed)


def sweep() -> None:
    """Give up the subscriptions of rooms and streams that outlived their loop."""
    with suppress(IndexError):
        while True:
            _unsubscribe(_orphans.popleft())


def owned(number: int) -> Any:
    """Return what keeps something native alive until it is disposed of."""
    from livekit.rtc._ffi_client import FfiHandle

    return FfiHandle(number)


# -- what is asked for, and answered with an event ----------------------------------------------


async def ask(request: Any) -> Any:
    """Make a request that has a `request_async_id`, and return the event that answers it.

    Cancelling is safe: the answer is not waited for.
    """
    loop, number = asyncio.get_running_loop(), next(numbers)
    kind = request.WhichOneof("message")
    getattr(request, kind).request_async_id = number
    answered: asyncio.Future[Any] = loop.create_future()

    def settle(answer: Any) -> None:
        if not answered.done():
            answered.set_result(answer)

    def hear(event: Any) -> None:
        if event.WhichOneof("message") == kind and getattr(event, kind).async_id == number:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, getattr(event, kind))

    unwatch = watch(hear)
    try:
        client().request(request)
        return await answered
    finally:
        unwatch()


def description_request(local: rtc.LocalParticipant, part: SelfDescription) -> Any:
    """Return what asks to change the one thing that a description says."""
    return _description_request(local._ffi_handle.handle, part)


def _description_request(local: int, part: SelfDescription) -> Any:
    from livekit.rtc._proto import ffi_pb2

    request = ffi_pb2.FfiRequest()
    if part.name is not None:
        request.set_local_name.local_participant_handle = local
        request.set_local_name.name = part.name
    elif part.metadata is not None:
        request.set_local_metadata.local_participant_handle = local
        request.set_local_metadata.metadata = part.metadata
    else:
        request.set_local_attributes.local_participant_handle = local
        for key, value in (part.attributes or {}).items():
            request.set_local_attributes.attributes.add(key=key, value=value)
    return request


def method_request(local: rtc.LocalParticipant, call: MethodRequest, arrival: float) -> Any:
    """Return what calls a method, of which native code hears within `arrival` seconds."""
    return _method_request(local._ffi_handle.handle, call, arrival)


def _method_request(local: int, call: MethodRequest, arrival: float) -> Any:
    from livekit.rtc._proto import ffi_pb2

    request = ffi_pb2.FfiRequest()
    asked = request.perform_rpc
    asked.local_participant_handle = local
    asked.destination_identity, asked.method, asked.payload = call.to, call.method, call.payload
    asked.max_round_trip_latency_ms = int(1000 * arrival)
    # Of which native code tells the other side what is left without the way there and back.
    asked.response_timeout_ms = int(1000 * (call.timeout + arrival))
    return request


# -- what is pulled of a remote video -----------------------------------------------------------


# Not by `enable_remote_track_publication`, which does the same in one request and ends the process
# when the track goes meanwhile (docs/livekit.md, "Tracks that go meanwhile").


def switch(track: rtc.Track, is_on: bool) -> None:
    """Make a subscribed track one that is sent, or is not; the server hears of it by `ask_size`."""
    client().request(_switch_request(track._ffi_handle.handle, is_on))


def ask_size(publication: rtc.RemoteTrackPublication, width: int, height: int) -> None:
    """Ask the server for the smallest layer of a subscribed track that has about that size, or for
    nothing where it is switched off; in the background."""
    client().request(_size_request(publication._ffi_handle.handle, width, height))


def _switch_request(track: int, is_on: bool) -> Any:
    from livekit.rtc._proto import ffi_pb2

    request = ffi_pb2.FfiRequest()
    request.enable_remote_track.track_handle = track
    request.enable_remote_track.enabled = is_on
    return request


def _size_request(publication: int, width: int, height: int) -> Any:
    from livekit.rtc._proto import ffi_pb2

    request = ffi_pb2.FfiRequest()
    update = request.update_remote_track_publication_dimension
    update.track_publication_handle = publication
    update.width, update.height = width, height
    return request
