"""Words, times, JSON and failures: what the other strategies are made of."""

from __future__ import annotations

import json
from typing import Final, TypeAlias, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.app_json import frozen_json
from utd_rx.models.frozen_map import FrozenMap

People: TypeAlias = SearchStrategy[str]
"""The identities that occur in a value."""

NAMES: Final = ("anna", "ben", "cleo", "dora")
"""Who the people are by default."""

WORDS: Final = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
SECONDS: Final = st.floats(0.0, 1e6)


def identities(*, odd: bool = False) -> People:
    """Identities: one of `NAMES`, and if `odd`, what else an engine takes."""
    named = st.sampled_from(NAMES)
    return named | WORDS if odd else named


def room_names() -> SearchStrategy[str]:
    """Un-prefixed names of rooms, as an engine takes them."""
    return st.sampled_from(["lobby", "stage"]) | st.from_regex(r"[A-Z0-9_-]{1,8}", fullmatch=True)


def moments() -> SearchStrategy[str]:
    """Times as an engine writes them, ISO 8601 UTC."""
    parts = st.integers(0, 27), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59)
    return st.tuples(*parts).map(
        lambda at: f"2026-05-{at[0] + 1:02}T{at[1]:02}:{at[2]:02}:{at[3]:02}.000Z"
    )


def app_json(*, max_leaves: int = 4) -> SearchStrategy[FrozenMap[str, object]]:
    """JSON objects of the app's own, as a value holds them: call metadata, for one."""
    scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | SECONDS | WORDS
    parts = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=max_leaves,
    )
    objects = st.dictionaries(WORDS, parts, max_size=3)
    return objects.map(lambda one: cast("FrozenMap[str, object]", frozen_json(one)))


def failures(*codes: UTDErrorCode) -> SearchStrategy[UTDStreamException]:
    """Exceptions of the SDK, of these codes or of any; `CONFLICT` has a reason."""

    @st.composite
    def one(draw: DrawFn) -> UTDStreamException:
        code = draw(st.sampled_from(codes or list(UTDErrorCode)))
        is_conflict = code is UTDErrorCode.CONFLICT
        reason = draw(st.sampled_from(ConflictReason)) if is_conflict else None
        return UTDStreamException(f"failed: {code.value}", code=code, reason=reason)

    return one()


def sids(prefix: str) -> SearchStrategy[str]:
    """Sids as the media server makes them."""
    return st.integers(0, 2**24).map(lambda number: f"{prefix}_{number:06x}")


def attributes() -> SearchStrategy[FrozenMap[str, str]]:
    """What is known of a participant, or of who sits on a seat."""
    return st.dictionaries(WORDS, st.just("") | WORDS, max_size=2).map(FrozenMap)


def metadata() -> SearchStrategy[str]:
    """The metadata of a room or a participant: nothing, or JSON."""
    objects = st.fixed_dictionaries({}, optional={"role": st.sampled_from(["host", "audience"])})
    return st.just("") | objects.map(json.dumps)


PEOPLE: Final = identities()
