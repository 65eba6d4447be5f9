"""Frozen values to JSON and back, by the types their fields declare.

JSON decides nothing here but values: which class is made comes from the declared type of the field
it stands in. What does not fit its type is a `DecodeError`, what is missing takes its default, what
is unknown is ignored.

| Python | JSON |
| --- | --- |
| attrs class | object; in a recording without the fields that have their default |
| one of a family (`Tagged`), but in a recording | object with its class's name as `type` |
| a promise of any kind of session (`KINDS`) | array of its name and its object |
| enum, or one of several | its value |
| tuple | array |
| `FrozenMap[str, …]` | object |
| bytes | string when they are UTF-8, otherwise `{"base64": …}` |
| float that JSON lacks | `"nan"`, `"inf"`, `"-inf"` |
| an app's own JSON (`object`) | itself |
| `UTDStreamException` | object of its fields |
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.app_json import frozen_json, plain_json
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import CREDENTIAL

T = TypeVar("T")
Codec: TypeAlias = tuple[Callable[[Any], object], Callable[[Any], Any]]
"""To JSON, and from it."""


class DecodeError(ValueError):
    """JSON that does not fit the type it was read as."""


class Style(Enum):
    """What of an object's fields is written; all styles are read alike."""

    RECORDED = "what differs from its default"
    SHOWN = "every field but credentials"
    WHOLE = "every field"


class Tagged:
    """A family of classes: what is one of them says which, so that it is read by the family."""

    __slots__ = ()


def encode(value: object, style: Style = Style.RECORDED) -> object:
    """Return what stands for `value` in JSON; `TypeError` where there is no JSON for it."""
    kind: Any = type(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [encode(entry, style) for entry in value]
    if isinstance(value, Mapping):
        return {_key(key): encode(entry, style) for key, entry in value.items()}
    if value is None:
        return None
    if isinstance(value, UTDStreamException):
        kind = UTDStreamException
    return codec_of(kind, style)[0](value)


def decode(wanted: type[T], value: object, style: Style = Style.RECORDED) -> T:
    """Return the `wanted` that `value` stands for; `DecodeError` where it stands for none."""
    kind: Any = wanted
    read = codec_of(kind, style)[1]
    try:
        return cast("T", read(value))
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        raise DecodeError(f"no {getattr(wanted, '__name__', wanted)}: {error}") from error


def teach(kind: type, codec: Codec) -> None:
    """Have a type of another package written and read by `codec`, whatever the style."""
    _SCALARS[kind] = codec


@cache
def codec_of(wanted: Any, style: Style = Style.RECORDED) -> Codec:
    """Return what writes and reads a declared type; `TypeError` where there is no JSON for it."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _SCALARS:
        return _SCALARS[wanted]
    if _is_enum(wanted):
        return attrgetter("value"), lambda wire: wanted(_of(wire, str, int))
    if origin in (Union, UnionType) and all(_is_enum(one) for one in arguments):
        return attrgetter("value"), lambda wire: _member(arguments, _of(wire, str, int))
    if wanted is UTDStreamException:
        return _fields(wanted, _OF_A_FAILURE, style)
    if isinstance(wanted, type) and attrs.has(wanted):
        return _object(wanted, style)
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        write, read = codec_of(arguments[0], style)
        return (
            lambda value: None if value is None else write(value),
            lambda wire: None if wire is None else read(wire),
        )
    if origin is tuple and arguments[1:] == (Ellipsis,):
        write, read = codec_of(arguments[0], style)
        return (
            lambda value: [write(entry) for entry in value],
            lambda wire: tuple([read(entry) for entry in _of(wire, list)]),
        )
    if origin is FrozenMap and arguments[0] is str:
        write, read = codec_of(arguments[1], style)
        return (
            lambda value: {key: write(entry) for key, entry in value.items()},
            lambda wire: FrozenMap((key, read(entry)) for key, entry in _of(wire, dict).items()),
        )
    raise TypeError(f"no JSON for {wanted!r}")


def _is_enum(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Enum)


def _member(enums: Sequence[type[Enum]], value: object) -> Enum:
    """Return the member with that value, of the first enum that has one."""
    found = [one for enum in enums for one in enum if one.value == value]
    return found[0]


def _object(wanted: type, style: Style) -> Codec:
    """Return the codec of a class of values, or of a family of them."""
    hints = get_type_hints(wanted)
    fields = [
        (f.name, f.default, hints[f.name])
        for f in attrs.fields(wanted)
        if style is not Style.SHOWN or f.metadata != CREDENTIAL
    ]
    write, read = _fields(wanted, fields, style)
    if style is Style.RECORDED or not issubclass(wanted, Tagged):
        return write, read
    kinds: dict[str, Any] = {kind.__name__: kind for kind in _family(wanted)}

    def write_tagged(value: object) -> object:
        if (kind := type(value)) is not wanted:
            return encode(value, style)
        return {"type": kind.__name__, **cast("dict[str, object]", write(value))}

    def read_tagged(wire: object) -> object:
        kind = kinds[_of(_of(wire, dict)["type"], str)]
        return read(wire) if kind is wanted else codec_of(kind, style)[1](wire)

    return write_tagged, read_tagged


@cache
def shown_fields(kind: type) -> tuple[str, ...]:
    """Return the names in the JSON of a class of values, in the style `SHOWN`."""
    fields = [field.name for field in attrs.fields(kind) if field.metadata != CREDENTIAL]
    return tuple(("type", *fields) if issubclass(kind, Tagged) else fields)


def _family(kind: type) -> Iterator[type]:
    yield kind
    kinds: list[type] = kind.__subclasses__()
    for one in kinds:
        yield from _family(one)


def _fields(
    wanted: Callable[..., Any], fields: Sequence[tuple[str, Any, Any]], style: Style
) -> Codec:
    """Return what writes and reads a class by its fields' names, defaults and types."""
    is_brief = style is Style.RECORDED
    codecs = [
        (
            name,
            default.factory() if isinstance(default, _FACTORY) else default,
            *codec_of(kind, style),
        )
        for name, default, kind in fields
    ]

    def write(value: object) -> object:
        wire: dict[str, object] = {}
        for name, default, write_field, _ in codecs:
            entry = getattr(value, name)
            # 0 == False and 1 == 1.0: equal is not enough to be read back as the same.
            if not is_brief or type(entry) is not type(default) or entry != default:
                wire[name] = write_field(entry)
        return wire

    def read(wire: object) -> object:
        told = _of(wire, dict)
        return wanted(**{name: read(told[name]) for name, _, _, read in codecs if name in told})

    return write, read


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"no JSON for a map with {key!r} for a key: keys are strings")
    return key


def _of(wire: object, *kinds: type) -> Any:
    if type(wire) not in kinds:
        raise DecodeError(f"expected {kinds[0].__name__}, got {type(wire).__name__}")
    return wire


def _scalar(kind: type) -> Codec:
    return lambda value: value, lambda wire: _of(wire, kind)


def _write_bytes(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _read_bytes(wire: object) -> bytes:
    if isinstance(wire, str):
        return wire.encode()
    return base64.b64decode(_of(_of(wire, dict)["base64"], str), validate=True)


_FACTORY: Final[Any] = attrs.Factory  # a class to Python, a function to mypy
_SCALARS: Final[dict[Any, Codec]] = {
    bool: _scalar(bool),
    int: _scalar(int),
    str: _scalar(str),
    float: (
        lambda value: value if math.isfinite(value) else str(value),
        lambda wire: float(wire if wire in ("nan", "inf", "-inf") else _of(wire, float, int)),
    ),
    bytes: (_write_bytes, _read_bytes),
    object: (plain_json, frozen_json),
}
_OF_A_FAILURE: Final[Sequence[tuple[str, Any, Any]]] = (
    ("message", attrs.NOTHING, str),
    ("code", attrs.NOTHING, UTDErrorCode),
    ("status_code", None, int | None),
    ("retry_after", None, float | None),
    ("reason", None, ConflictReason | None),
    ("expired_at", None, float | None),
)
