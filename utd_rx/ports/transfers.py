"""What crosses a room port when texts and files are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import field, frozen
from attrs.converters import optional

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.checks import identities, whole
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.data import attributes
from utd_rx.ports.methods import text

MAX_LABEL: Final = 256
"""Bytes of a topic, a name and a MIME type; they travel in one packet with the attributes."""


_METHODS: Final = "lk.rpc_"
"""What begins the topics of LiveKit's methods, which native code takes and sends itself."""


def topic_name(value: str) -> str:
    """Return a topic, or raise `VALIDATION`, also for one that LiveKit keeps for itself."""
    if text(value, "topic", MAX_LABEL).startswith(_METHODS):
        rule = f"topics that begin with {_METHODS!r} are LiveKit's own"
        raise invalid(f"{rule}: call_method calls a method, and serve answers")
    return value


def _name(value: str) -> str:
    return text(value, "name", MAX_LABEL)


def _mime_type(value: str) -> str:
    return text(value, "mime_type", MAX_LABEL)


def _id(value: str) -> str:
    return text(value, "id", MAX_LABEL)


def _size(value: int) -> int:
    return whole(value, "size")


@frozen(kw_only=True)
class TransferHeader:
    """A text or a file that can be sent, any other raises `VALIDATION`; `to` is None for all, and
    "" the id that LiveKit gives it."""

    is_text: bool
    id: str = field(default="", converter=_id)
    topic: str = field(default="", converter=topic_name)
    name: str = field(default="", converter=_name)
    mime_type: str = field(default="", converter=_mime_type)
    size: int | None = field(default=None, converter=optional(_size))
    attributes: FrozenMap[str, str] = field(factory=FrozenMap, converter=attributes)
    to: tuple[str, ...] | None = field(default=None, converter=optional(identities))


@frozen
class TransferBegan:
    """Somebody begins to send; `number` is the port's own."""

    number: int
    info: TransferInfo


@frozen
class TransferPart:
    """A part of it, text in UTF-8."""

    number: int
    data: bytes = field(repr=False)


@frozen
class TransferEnded:
    """It is over: whole, or failed; `attributes` are what its sender added in the end."""

    number: int
    failure: UTDStreamException | None = None
    attributes: FrozenMap[str, str] = FrozenMap()


TransferNews: TypeAlias = TransferBegan | TransferPart | TransferEnded

TransferSink: TypeAlias = Callable[[TransferNews], None]
"""Takes what happens with a topic's texts or files, on its own loop; never raises."""
