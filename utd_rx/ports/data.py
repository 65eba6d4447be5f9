"""What a data message may be, and what a participant may say of itself, for every room alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import asdict, field, frozen
from attrs.converters import optional

from utd_rx.errors import invalid
from utd_rx.models.checks import flag, identities, payload
from utd_rx.models.frozen_map import FrozenMap

MAX_DATA: Final = 63_000
"""Bytes of one data message: LiveKit's data channel takes 64,000 with its own header of about 28
and the topic, and refuses more after the fact (docs/livekit.md, "Sizes")."""

_PER_DESTINATION: Final = 3
"""Bytes each identity it is addressed to takes besides its own: a tag and a length."""


def _reliable(value: bool) -> bool:
    return flag(value, "reliable")


@frozen
class DataMessage:
    """A message that can be sent, any other raises `VALIDATION`; `to` is None for everybody."""

    data: bytes = field(repr=False, converter=payload)
    topic: str = field(default="", kw_only=True)
    to: tuple[str, ...] | None = field(default=None, kw_only=True, converter=optional(identities))
    reliable: bool = field(default=True, kw_only=True, converter=_reliable)

    def __attrs_post_init__(self) -> None:
        try:
            addressed = sum(len(who.encode()) + _PER_DESTINATION for who in self.to or ())
            size = len(self.data) + len(self.topic.encode()) + addressed
        except (AttributeError, UnicodeEncodeError) as error:
            raise invalid("A topic and identities are text that UTF-8 can say.") from error
        if size > MAX_DATA:
            raise invalid(
                f"A data message holds at most {MAX_DATA} bytes with its topic and destinations: "
                f"LiveKit's data channel takes 64,000 including its header. This one has {size}."
            )


MAX_NAME: Final = 256
MAX_METADATA: Final = 512 * 1024
MAX_ATTRIBUTES: Final = 64 * 1024
"""Bytes: livekit-server's own limits, of the attributes keys and values together
(docs/livekit.md, "Sizes"); a server may be set to other ones, and refuses by itself then."""


def _size(text: object, what: str) -> int:
    if not isinstance(text, str):
        raise invalid(f"{what} is a str, not {type(text).__name__}")
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise invalid(f"{what} is text that UTF-8 can say") from error


def _name(value: str) -> str:
    return _bounded(MAX_NAME, "name", value)


def _metadata(value: str) -> str:
    return _bounded(MAX_METADATA, "metadata", value)


def _bounded(most: int, what: str, value: str) -> str:
    size = _size(value, what)
    if not size:
        raise invalid(f"an empty {what} is none to LiveKit, which would keep the one before")
    if size > most:
        raise invalid(f"{what} holds at most {most} bytes, LiveKit's limit; this one has {size}")
    return value


def attributes(given: Mapping[str, str]) -> FrozenMap[str, str]:
    """Return attributes as they can be sent, or raise `VALIDATION`."""
    if not isinstance(given, Mapping):
        raise invalid(f"attributes are a mapping of str to str, not {type(given).__name__}")
    size = sum(_size(key, "a key") + _size(value, "an attribute") for key, value in given.items())
    if size > MAX_ATTRIBUTES:
        limit = f"attributes hold at most {MAX_ATTRIBUTES} bytes together, LiveKit's limit"
        raise invalid(f"{limit}; these have {size}")
    if "" in given:
        raise invalid("an attribute has a key that is not empty")
    return FrozenMap(given)


@frozen(kw_only=True)
class SelfDescription:
    """What a participant says of itself from now on; None stays as it is, and of the attributes
    those that are not among them; an empty value ends one. What cannot be sent is `VALIDATION`."""

    name: str | None = field(default=None, converter=optional(_name))
    metadata: str | None = field(default=None, repr=False, converter=optional(_metadata))
    attributes: FrozenMap[str, str] | None = field(default=None, converter=optional(attributes))

    def parts(self) -> tuple[SelfDescription, ...]:
        """Return it as descriptions that say one thing each."""
        said = asdict(self, recurse=False).items()
        return tuple(SelfDescription(**{key: value}) for key, value in said if value is not None)

    def describes(self, name: str, metadata: str, has: Mapping[str, str]) -> bool:
        """Whether it is true of somebody."""
        said = (self.attributes or {}).items()
        is_so = self.name in (None, name) and self.metadata in (None, metadata)
        return is_so and all(has.get(key, "") == value for key, value in said)
