"""JSON that is the app's own, as a value: nobody can change it, and it hashes and pickles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from utd_rx.models.frozen_map import FrozenMap

MAX_DEPTH: Final = 32
"""What is deeper is None: every walk over a value recurses (docs/contract.md, "Calls")."""


def frozen_json(value: object, depth: int = MAX_DEPTH) -> object:
    """Return JSON as a value; what JSON lacks, as a number that is none, is None."""
    if isinstance(value, Mapping):
        if not depth:
            return None
        return FrozenMap((str(key), frozen_json(one, depth - 1)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple([frozen_json(one, depth - 1) for one in value]) if depth else None
    is_plain = isinstance(value, str | bool | int) or (
        isinstance(value, float) and math.isfinite(value)
    )
    return value if is_plain else None


def plain_json(value: object) -> object:
    """Return what `frozen_json` made a value of, as `json` writes it."""
    if isinstance(value, Mapping):
        return {key: plain_json(one) for key, one in value.items()}
    return [plain_json(one) for one in value] if isinstance(value, list | tuple) else value
