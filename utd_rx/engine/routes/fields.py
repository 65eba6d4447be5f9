"""Strict readers of request bodies: what is wrong is a `Refusal`, a 422 that names the field.

The opposite of the wire codecs, on purpose: a client survives every engine, an engine tells a
client what it got wrong (docs/contract.md, "Statuses").
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Final, TypeVar

from utd_rx.engine.routes.http import HttpRequest
from utd_rx.engine.rules.names import check_identity, is_printable
from utd_rx.engine.rules.refusal import Reason, Refusal, invalid
from utd_rx.protocol.wire.reading import Json, parse_object

MAX_BODY_BYTES: Final = 64 * 1024

ANY_NUMBER: Final = 10**9
"""Beyond every index and id: wide enough to leave the answer to the rules."""

_KINDS: Final[Mapping[type, str]] = {
    str: "a string",
    bool: "true or false",
    dict: "a JSON object",
    list: "a list of strings",
}

E = TypeVar("E", bound=Enum)
T = TypeVar("T")


async def read_bytes(chunks: AsyncIterator[bytes], limit: int = MAX_BODY_BYTES) -> bytes:
    """Return a body; 413 when it is longer than `limit`, and the rest is not kept."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise Refusal(Reason.TOO_LARGE, f"the body is larger than {limit} bytes")
    return bytes(body)


async def read_body(request: HttpRequest) -> Json:
    """Return the JSON object in the body; none at all counts as an empty one."""
    body = await read_bytes(request.chunks())
    if not body.strip():
        return {}
    wire = parse_object(body)
    if wire is None:
        raise invalid("the body must be a JSON object")
    return wire


def typed(body: Json, key: str, kind: type[T]) -> T | None:
    """Return a value of `kind`; missing and null are None."""
    value = body.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise invalid(f"{key} must be {_KINDS[kind]}")


def identity_of(body: Json, key: str = "identity") -> str:
    """Return the identity there; missing is refused, too."""
    value = typed(body, key, str)
    if not value:
        raise invalid(f"{key} is required")
    return check_identity(value, key)


def text_of(body: Json, key: str, longest: int) -> str | None:
    """Return a string of at most `longest` characters; missing, null and "" are None."""
    value = typed(body, key, str)
    if not value:
        return None
    if len(value) > longest:
        raise invalid(f"{key} must have at most {longest} characters")
    if not is_printable(value):
        raise invalid(f"{key} must not contain control characters")
    return value


def int_of(body: Json, key: str, least: int, most: int) -> int | None:
    """Return an integer of the range; missing and null are None."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(f"{key} must be an integer from {least} to {most}")
    return value


def choice_of(body: Json, key: str, choices: type[E]) -> E | None:
    """Return the member of `choices` spelled there; missing and null are None."""
    value = body.get(key)
    if value is None:
        return None
    for choice in choices:
        if choice.value == value:
            return choice
    raise invalid(f"{key} must be one of {', '.join(str(choice.value) for choice in choices)}")


def flag_of(body: Json, key: str, default: bool) -> bool:
    value = typed(body, key, bool)
    return default if value is None else value


def object_of(body: Json, key: str) -> Mapping[str, object]:
    """Return a JSON object that can be written again; missing and null are empty."""
    value: Json = typed(body, key, dict) or {}
    try:
        # Python reads NaN and lone surrogates, which no other JSON reader takes.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid(f"{key} holds a value that JSON cannot carry") from error
    return value


def required_object_of(body: Json, key: str) -> Mapping[str, object]:
    """Return a JSON object, or one that was sent as a string of JSON; missing is 422, too."""
    value = body.get(key)
    if isinstance(value, str):
        value = parse_object(value)
    if value is None:
        raise invalid(f"{key} must be a JSON object")
    return object_of({key: value}, key)


def texts_of(body: Json, key: str, most: int) -> tuple[str, ...] | None:
    """Return a list of at most `most` strings; missing and null are None."""
    value: list[object] | None = typed(body, key, list)
    if value is None:
        return None
    texts = tuple(entry for entry in value if isinstance(entry, str))
    if len(texts) < len(value):
        raise invalid(f"{key} must be {_KINDS[list]}")
    if len(value) > most:
        raise invalid(f"{key} must have at most {most} entries")
    return texts


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Return `page` and `per_page` of a query; 20 a page unless asked, 100 at most."""
    found = []
    for key, default in (("page", 1), ("per_page", 20)):
        text = query.get(key, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
            raise invalid(f"{key} must be a positive number")
        found.append(int(text))
    return found[0], min(found[1], 100)


def page_to_wire(rows: list[dict[str, object]], page: int, per_page: int) -> dict[str, object]:
    """Return one page of `rows` with the pagination the engine's lists have."""
    counted = {"total": len(rows), "total_pages": -(-len(rows) // per_page)}
    return {
        "data": rows[(page - 1) * per_page : page * per_page],
        "pagination": {"page": page, "per_page": per_page, **counted},
    }
