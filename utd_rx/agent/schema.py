"""JSON schema of a parameter's annotation, and what reads an argument by it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from utd_rx.errors import invalid
from utd_rx.models.app_json import plain_json

Schema: TypeAlias = dict[str, object]
Reader: TypeAlias = Callable[[object, str], Any]
"""Returns what an argument of this name is, or raises `TypeError` or `ValueError`."""

_PLAIN: Final[Mapping[object, tuple[str, tuple[type, ...]]]] = {
    str: ("string", (str,)),
    bool: ("boolean", (bool,)),
    int: ("integer", (int,)),
    float: ("number", (int, float)),
    types.NoneType: ("null", (types.NoneType,)),
    None: ("null", (types.NoneType,)),
}


def reader_of(annotation: Any, where: str) -> tuple[Schema, Reader]:
    """Return the schema of an annotation and what reads by it.

    Raises:
        UTDStreamException: `VALIDATION`: no schema says this.
    """
    if annotation in _PLAIN:
        return _plain(annotation)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        schema, reader = reader_of(parts[0], where)
        told = [part for part in parts[1:] if isinstance(part, str)]
        return ({**schema, "description": told[0]} if told else schema), reader
    if origin is Literal:
        return _literal(parts)
    if origin in (Union, types.UnionType):
        return _union([reader_of(part, where) for part in parts])
    if origin is list or annotation is list:
        return _list(reader_of(parts[0], where) if parts else None)
    if (origin is dict and parts[0] is str) or annotation is dict:
        return _dict(reader_of(parts[1], where) if parts else None)
    raise invalid(
        f"{where} is of a type that no JSON schema says: use str, int, float, bool, Literal, "
        "list, dict[str, …], or one of them or None"
    )


def _plain(kind: object) -> tuple[Schema, Reader]:
    word, kinds = _PLAIN[kind]

    def read(value: object, name: str) -> object:
        is_flag = isinstance(value, bool) and bool not in kinds
        if is_flag or not isinstance(value, kinds):
            raise TypeError(f"{name} must be of type {word}")
        return float(value) if kind is float and isinstance(value, int) else value

    return {"type": word}, read


def _literal(choices: tuple[object, ...]) -> tuple[Schema, Reader]:
    def read(value: object, name: str) -> object:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return value
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}")

    return {"enum": list(choices)}, read


def _union(parts: list[tuple[Schema, Reader]]) -> tuple[Schema, Reader]:
    def read(value: object, name: str) -> object:
        wrong = ""
        for _, reader in parts:
            try:
                return reader(value, name)
            except (TypeError, ValueError) as error:
                wrong = wrong or str(error)
        raise TypeError(wrong)

    return {"anyOf": [schema for schema, _ in parts]}, read


def _list(of: tuple[Schema, Reader] | None) -> tuple[Schema, Reader]:
    def read(value: object, name: str) -> object:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{name} must be of type array")
        if of is None:
            return plain_json(value)
        return [of[1](one, f"{name}[{index}]") for index, one in enumerate(value)]

    return ({"type": "array"} if of is None else {"type": "array", "items": of[0]}), read


def _dict(of: tuple[Schema, Reader] | None) -> tuple[Schema, Reader]:
    def read(value: object, name: str) -> object:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be of type object")
        if of is None:
            return plain_json(value)
        return {key: of[1](one, f"{name}.{key}") for key, one in value.items()}

    values: Schema = {} if of is None else {"additionalProperties": of[0]}
    return {"type": "object", **values}, read
