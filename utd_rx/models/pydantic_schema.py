"""What pydantic is told of a value: what reads and writes it, and its shape, for OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from utd_rx.errors import UTDStreamException
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.typed_json import Tagged, shown_fields


def schema_of(
    kind: type,
    schema: Callable[[Any], Any],
    write: Callable[[Any], object],
    read: Callable[[Any, object], object],
) -> Any:
    """Return the core schema of a class of values; `schema` is pydantic's own, of other types."""
    from pydantic_core import core_schema as core

    def take(given: object) -> object:
        return given if isinstance(given, kind) else read(kind, given)

    def shape(declared: Any) -> Any:
        origin, (first, *others) = get_origin(declared), get_args(declared) or (None,)
        if origin is tuple:
            return core.list_schema(shape(first))
        if origin is FrozenMap:
            return core.dict_schema(core.str_schema(), shape(others[0]))
        if others == [NoneType]:
            return core.nullable_schema(shape(first))
        is_bare = attrs.has(declared) and not hasattr(declared, "__get_pydantic_core_schema__")
        if is_bare or origin is not None or declared in (object, bytes, UTDStreamException):
            return core.any_schema()
        if issubclass(declared, Enum):  # written as its value, which is none of it to pydantic
            return core.literal_schema([one.value for one in declared])
        return schema(declared)

    hints = get_type_hints(kind)
    needed = {one.name for one in attrs.fields(kind) if one.default is attrs.NOTHING} | {"type"}

    def form(*, is_written: bool) -> Any:
        fields = {
            name: core.typed_dict_field(
                shape(hints.get(name, str)), required=is_written or name in needed
            )
            for name in shown_fields(kind)
        }
        more: Any = "allow" if issubclass(kind, Tagged) else "ignore"
        return core.typed_dict_schema(fields, cls_name=kind.__name__, extra_behavior=more)

    return core.no_info_plain_validator_function(
        take,
        ref=f"{kind.__module__}.{kind.__qualname__}:{id(kind)}",
        json_schema_input_schema=form(is_written=False),
        serialization=core.plain_serializer_function_ser_schema(
            write, return_schema=form(is_written=True)
        ),
    )
