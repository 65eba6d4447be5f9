"""A world without a network is like the real ones: the same plays, the same streams.

What is compared of every stream of everybody is each value that it told, step by step, and what
every command was answered. `make test` plays a few; `make test-long` 200 of each kind beside the
embedded SFU and 30 beside livekit-server, `make test-process` 20 with their rooms in a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import pytest

from tests.differential.conftest import ONCE
from tests.differential.playing import differences
from tests.differential.plays import CALLS, PLAYS
from tests.differential.scripts import Play, Script, examples, smallest
from tests.differential.sides import imagined, played, real_side
from tests.support.living import is_apart
from tests.support.sfu import SfuKind

AT_ONCE: Final = 10
"""Plays on one engine; LiveKit gives a publication 10 s, and a machine has two cores."""

ALL: Final = 200

MANY: Final[dict[SfuKind, int]] = {"embedded": 20 if is_apart() else ALL, "livekit": 30}
"""With rooms in a process a tenth: the plays are the same, and what differs is the rooms' port."""

BATCHES: Final = [
    pytest.param(kind, first, id=f"{kind}-{first}", marks=getattr(pytest.mark, kind))
    for kind, many in MANY.items()
    for first in range(0, many, AT_ONCE)
]

BY_KIND: Final = pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.kind)


def differing(kind: SfuKind, scripts: Sequence[Script]) -> list[tuple[Script, list[str]]]:
    """Return which scripts went another way on the real side, and how."""
    expected = [imagined(script) for script in scripts]

    async def play() -> list[tuple[Script, list[str]]]:
        async with real_side(kind) as side:
            real = await played(side, scripts, expected)
        found = (list(differences(*each)) for each in zip(scripts, expected, real, strict=True))
        return [(script, lines) for script, lines in zip(scripts, found, strict=True) if lines]

    return asyncio.run(play())


Note: TypeAlias = Callable[[str, object], None]


def no_difference(kind: SfuKind, scripts: Sequence[Script], note: Note) -> None:
    """Fail with the smallest script that differs, and still does when it is played alone."""
    for script, lines in differing(kind, scripts):
        if not differing(kind, [script]):
            note(ONCE, f"{script}\n" + "\n".join(lines))
            continue
        least = smallest(script, lambda less: bool(differing(kind, [less])))
        [(_, lines), *_] = differing(kind, [least]) or [(script, lines)]
        pytest.fail(f"{least}\n\nimagined, and on {kind}:\n" + "\n".join(lines), pytrace=False)


@pytest.mark.embedded
@BY_KIND
def test_a_few_plays_are_like_those_on_a_real_engine(play: Play, record_property: Note) -> None:
    no_difference("embedded", examples(play, 20)[10:12], record_property)


@pytest.mark.long
@pytest.mark.timeout(600)
@BY_KIND
@pytest.mark.parametrize(("sfu_kind", "first"), BATCHES, indirect=["sfu_kind"])
def test_plays_are_like_those_on_a_real_engine(
    play: Play, sfu_kind: SfuKind, first: int, record_property: Note
) -> None:
    scripts = examples(play, ALL)[first : first + AT_ONCE]
    assert len(scripts) == AT_ONCE
    no_difference(sfu_kind, scripts, record_property)


def test_a_difference_is_found_and_made_small() -> None:
    def differs(script: Script) -> bool:
        patient = imagined(script, ring_timeout=120.0)
        return any(differences(script, imagined(script), patient))

    found = next(script for script in examples(CALLS, 40) if differs(script))
    least = smallest(found, differs)
    [[dialled], []] = least.acts
    assert dialled.verb == "start"
    lines = list(differences(least, imagined(least), imagined(least, ring_timeout=120.0)))
    assert f"time passes: {dialled.who}.status ('missed',) and None" in lines


@BY_KIND
def test_plays_are_about_what_is_done_there(play: Play) -> None:
    done: set[str] = set()
    for script in examples(play, 20):
        steps = [step for act in script.acts for step in act]
        answers = [one.answer for one in imagined(script)[1:] if one.answer != "time passed"]
        done |= {
            step.verb
            for step, answer in zip(steps, answers, strict=True)
            if not isinstance(answer, tuple)  # a refusal
        }
    assert len(done) >= 0.8 * len(play.verbs), sorted(play.verbs.keys() - done)
