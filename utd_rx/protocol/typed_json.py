"""Frozen values to JSON and back, by the types their fields declare.

A file decides nothing here but values: which class is made comes from the declared type of the
field it stands in, so no name in a file is ever looked up. What does not fit its type is a
`DecodeError`, what is missing takes the field's default, what is unknown is ignored.

| Python | JSON |
| --- | --- |
| attrs class | object, without the fields that have their default |
| enum | its value |
| tuple | array |
| `FrozenMap[str, …]` | object |
| bytes | string when they are UTF-8, otherwise `{"base64": …}` |
| float that JSON lacks | `"nan"`, `"inf"`, `"-inf"` |
| `UTDStreamException` | object of its four fields |
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.frozen_map import FrozenMap

T = TypeVar("T")
Decoder = Callable[[object], Any]


class DecodeError(ValueError):
    """JSON that does not fit the type it was read as."""


def encode(value: object) -> object:
    """Return what stands for `value` in JSON.

    Raises:
        NotAnAttrsClassError: A value of a kind that no state, fact or event has.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return _encode_bytes(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [encode(entry) for entry in value]
    if isinstance(value, FrozenMap):
        return {key: encode(entry) for key, entry in value.items()}
    if isinstance(value, UTDStreamException):
        return {
            "message": value.message,
            "code": value.code.value,
            "status_code": value.status_code,
            "retry_after": encode(value.retry_after),
        }
    return _encode_attrs(value)


def decode(wanted: type[T], value: object) -> T:
    """Return the `wanted` that `value` stands for.

    Raises:
        DecodeError: It stands for none.
    """
    wanted_: Any = wanted
    return cast("T", decoder_of(wanted_)(value))


@cache
def decoder_of(wanted: Any) -> Decoder:
    """Return what reads a declared type.

    Raises:
        TypeError: A type that no field should have: there is no JSON for it.
    """
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _SCALARS:
        return _SCALARS[wanted]
    if origin in (Union, UnionType):
        return _optional(arguments)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _tuple_of(decoder_of(arguments[0]))
    if origin is FrozenMap and arguments[0] is str:
        return _map_of(decoder_of(arguments[1]))
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _enum(wanted)
    if isinstance(wanted, type) and attrs.has(wanted):
        return _attrs(wanted)
    raise TypeError(f"no JSON for {wanted!r}")


def _encode_bytes(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _encode_attrs(value: object) -> object:
    encoded: dict[str, object] = {}
    kind: Any = type(value)
    for field in attrs.fields(kind):  # raises for any other class
        entry = getattr(value, field.name)
        if not _is_default(field, entry):
            encoded[field.name] = encode(entry)
    return encoded


def _is_default(field: attrs.Attribute[Any], entry: object) -> bool:
    default: Any = field.default
    if default is attrs.NOTHING:
        return False
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type] # a class to Python, a function to mypy
        default = default.factory()
    # 0 == False and 1 == 1.0: equal is not enough to be read back as the same.
    return type(entry) is type(default) and bool(entry == default)


def _scalar(*kinds: type) -> Decoder:
    def read(value: object) -> Any:
        if type(value) not in kinds:
            raise DecodeError(f"expected {kinds[0].__name__}, got {type(value).__name__}")
        return value

    return read


def _float(value: object) -> float:
    if type(value) not in (int, float) and value not in ("nan", "inf", "-inf"):
        raise DecodeError(f"expected a number, got {type(value).__name__}")
    try:
        return float(cast("float | str", value))
    except OverflowError as error:
        raise DecodeError("a number too large for a float") from error


def _bytes(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and isinstance(text := value.get("base64"), str):
            return base64.b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise DecodeError("bytes that are neither text nor base64") from error
    raise DecodeError(f"expected bytes, got {type(value).__name__}")


def _exception(value: object) -> UTDStreamException:
    wire = _object(value)
    return UTDStreamException(
        decode(str, wire.get("message")),
        code=decode(UTDErrorCode, wire.get("code")),
        status_code=decoder_of(int | None)(wire.get("status_code")),
        retry_after=decoder_of(float | None)(wire.get("retry_after")),
    )


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DecodeError(f"expected an object, got {type(value).__name__}")
    return value


def _optional(arguments: tuple[Any, ...]) -> Decoder:
    kinds = [kind for kind in arguments if kind is not NoneType]
    if len(kinds) != 1:
        raise TypeError(f"no JSON for a choice of {arguments!r}")
    read = decoder_of(kinds[0])
    return lambda value: None if value is None else read(value)


def _tuple_of(read: Decoder) -> Decoder:
    def read_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise DecodeError(f"expected an array, got {type(value).__name__}")
        return tuple([read(entry) for entry in value])

    return read_all


def _map_of(read: Decoder) -> Decoder:
    return lambda value: FrozenMap((key, read(entry)) for key, entry in _object(value).items())


def _enum(wanted: type[Enum]) -> Decoder:
    def read(value: object) -> Enum:
        if type(value) not in (int, str):
            raise DecodeError(f"{wanted.__name__} is no {type(value).__name__}")
        try:
            return wanted(value)
        except ValueError as error:
            raise DecodeError(f"{wanted.__name__} has no such member") from error

    return read


def _attrs(wanted: type) -> Decoder:
    hints = get_type_hints(wanted)
    readers = {field.name: decoder_of(hints[field.name]) for field in attrs.fields(wanted)}
    required = {f.name for f in attrs.fields(wanted) if f.default is attrs.NOTHING}

    def read(value: object) -> object:
        wire = _object(value)
        if not required <= wire.keys():
            raise DecodeError(f"{wanted.__name__} needs {sorted(required - wire.keys())}")
        return wanted(**{name: readers[name](wire[name]) for name in readers.keys() & wire.keys()})

    return read


_SCALARS: dict[Any, Decoder] = {
    bool: _scalar(bool),
    int: _scalar(int),
    str: _scalar(str),
    float: _float,
    bytes: _bytes,
    UTDStreamException: _exception,
}
