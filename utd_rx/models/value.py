"""Values and JSON: one way for every public value, both directions, and for the usual tools.

`to_json` and `from_json` are that way (docs/json.md; the table of forms is in
`models/typed_json.py`). What a tool looks for in a value by itself leads to them: `keys()` and
`[name]` (`dict(value)`, FastAPI), `toDict` (pandas), `__get_pydantic_core_schema__` (pydantic).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from utd_rx.errors import invalid
from utd_rx.models.pydantic_schema import schema_of
from utd_rx.models.serializing import serializer
from utd_rx.models.typed_json import DecodeError, Style, decode, encode, shown_fields

T = TypeVar("T")


def to_json(value: object, *, credentials: bool = False) -> Any:
    """Return a public value, or several in a tuple or a mapping, as `json.dumps` takes it.

    Every field is in it by its name; an event has the name of its class as `type`, too. Serves as
    `default=` of `json.dumps` and of `orjson.dumps`.

    Args:
        value: What a stream holds, a command returns or `events` tells.
        credentials: Whether tokens, and where they are good for, are in it as well.

    Raises:
        TypeError: There is no JSON for it: sound, pictures, keys, and what is alive, as a session.
    """
    try:
        return encode(value, Style.WHOLE if credentials else Style.SHOWN)
    except TypeError as error:
        hint = ": take what it holds, `.value`" if hasattr(type(value), "value") else ""
        raise TypeError(f"to_json knows values, and no {type(value).__name__}{hint}") from error


def from_json(kind: type[T], wire: object) -> T:
    """Return the value that `to_json` wrote, or another program in the same form.

    What is missing has its default, what is unknown is ignored. `from_json(RoomEvent, …)` reads any
    event, `from_json(tuple[UTDSeat, ...], …)` several seats.

    Args:
        kind: Its type.
        wire: What `json.loads` returned.

    Raises:
        UTDStreamException: `VALIDATION`: it does not fit.
        TypeError: There is no JSON for that type.
    """
    try:
        return decode(kind, wire, Style.WHOLE)
    except DecodeError as error:
        raise invalid(str(error)) from error


class Value:
    """Base of public values: what other libraries look for in one."""

    __slots__ = ()

    def keys(self) -> tuple[str, ...]:
        """Return the names in its JSON, which with `[name]` is all that `dict(value)` needs."""
        kind: Any = type(self)
        return shown_fields(kind)

    def __getitem__(self, name: str) -> Any:
        """Return a field as JSON; `KeyError` for what is none, or a credential."""
        if name not in self.keys():
            raise KeyError(name)
        return to_json(getattr(self, name)) if hasattr(self, name) else type(self).__name__

    if not TYPE_CHECKING:
        __iter__ = None  # which `[…]` would make of it

        def toDict(self):  # noqa: N802 - pandas' word, in DataFrame.to_json
            """Return it as JSON."""
            return to_json(self)

        @property
        def __pydantic_serializer__(self):
            """Return what writes it where no type is declared."""
            return serializer(to_json)

        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            """Return a schema that reads and writes as `from_json` and `to_json` do."""
            return schema_of(cls, handler.generate_schema, to_json, from_json)
