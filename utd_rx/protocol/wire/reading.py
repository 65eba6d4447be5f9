"""Tolerant readers: a wrong or missing field becomes None or a default, never an exception.

The engine's two generations and its two spellings disagree on types (bool as int, number as
string; docs/contract.md, "Seats"), and a client must survive all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, object]"
"""A JSON object as it came from the wire; nothing is known about its values."""


def read_object(value: object) -> Json:
    """Return `value` when it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def read_list(value: object) -> Sequence[object]:
    """Return `value` when it is a JSON array, otherwise an empty one."""
    return value if isinstance(value, list | tuple) else ()


def read_text(value: object) -> str | None:
    """Return a non-empty string, None for anything else; numbers are spelled out."""
    if isinstance(value, str):
        return value or None
    # 64 bits: str() of an endless number is slow and then raises.
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 64:
        return str(value)
    return None


def read_int(value: object) -> int | None:
    """Return an integer of 64 bits, also from `7.0` and `"7"`; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value if value.bit_length() < 64 else None
    # isascii: int() would also read other scripts' digits, which no engine writes. 18 digits:
    # int() of an endless string is slow and no id is that long.
    if isinstance(value, str) and value.isascii() and len(value) <= 18:
        digits = value.removeprefix("-")
        return int(value) if digits.isdigit() else None
    return None


def read_number(value: object) -> float | None:
    """Return a finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_bool(value: object) -> bool | None:
    """Return a boolean, also from 0, 1, "true" and "false"; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    return _WORDS.get(value.lower()) if isinstance(value, str) else None


def without_none(**fields: object) -> dict[str, object]:
    """Return the fields that are known, to be written: what is None is left out."""
    return {key: value for key, value in fields.items() if value is not None}


def read_texts(value: object) -> dict[str, str]:
    """Return the entries of a JSON object whose values are strings or numbers, as strings."""
    texts: dict[str, str] = {}
    for key, entry in read_object(value).items():
        text = entry if isinstance(entry, str) else read_text(entry)
        if isinstance(key, str) and text is not None:
            texts[key] = text
    return texts


def parse_object(text: str | bytes) -> Json | None:
    """Return the JSON object in `text`, None when it holds none."""
    try:
        value = json.loads(text)
    # RecursionError: a hostile message may be nested deeper than the parser can follow.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
