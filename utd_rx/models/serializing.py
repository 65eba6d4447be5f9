"""What pydantic asks a value for that it was not told the type of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def serializer(write: Callable[[Any], object]) -> Any:
    """Return pydantic's serializer of what `write` returns."""
    from pydantic_core import SchemaSerializer, core_schema

    how = core_schema.plain_serializer_function_ser_schema(write)
    return SchemaSerializer(core_schema.any_schema(serialization=how))
