"""What a few people do one after the other, as a value: drawn by Hypothesis, and made smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from random import Random
from typing import Any, Final

from attrs import evolve, frozen
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ACTS: Final = 3
"""Of a script; between two of them time passes."""

STEPS: Final = 5
"""In an act: short enough that nothing is due in it by the real engine's clock alone."""


@frozen
class Step:
    """Somebody does something."""

    who: str
    verb: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.who}.{self.verb}({', '.join(map(repr, self.args))})"


@frozen
class Verb:
    """Something to do: how often, with what, and by whom.

    Args:
        weight: How often it is drawn, in proportion to the others.
        draws: Each draws one argument.
        lead: How often it is the one who leads, of ten times.
        then: What follows six times of ten, and who does it: "same", "lead", or "other", whom the
            first argument names.
    """

    weight: int
    draws: tuple[Callable[[Random], Any], ...] = ()
    lead: int = 3
    then: tuple[tuple[str, str], ...] = ()


@frozen(eq=False)
class Play:
    """What a kind of sessions is tried with.

    Args:
        kind: Its name.
        cast: Who acts; the first one leads.
        verbs: What they do.
        gap: Seconds that pass between two acts: more than any offer or ring lasts.
    """

    kind: str
    cast: tuple[str, ...]
    verbs: Mapping[str, Verb]
    gap: float


@frozen
class Script:
    """Acts of steps; between two acts `gap` seconds pass."""

    play: Play
    acts: tuple[tuple[Step, ...], ...]

    def __str__(self) -> str:
        pause = [f"... {self.play.gap:g} s pass ..."]
        lines: list[str] = []
        for number, act in enumerate(self.acts):
            lines += pause * (number > 0) + [str(step) for step in act]
        return "\n".join(lines)


@cache
def examples(play: Play, count: int) -> tuple[Script, ...]:
    """Return so many scripts, the same each time.

    They are drawn by themselves, and not while they are played: a batch of them is played at once,
    and what differs is made smaller by few plays, each of which takes a real engine a second.
    """
    found: dict[Script, None] = {}

    @seed(len(play.kind))
    @settings(
        max_examples=2 * count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(play))
    def collect(script: Script) -> None:
        found[script] = None

    collect()
    return tuple(found)[:count]


def scripts(play: Play) -> st.SearchStrategy[Script]:
    """Scripts of a play; with even dice, as Hypothesis' own would repeat a few steps."""
    return st.builds(drawn, st.just(play), st.randoms(use_true_random=True))


def drawn(play: Play, random: Random) -> Script:
    """Return the script of a throw of dice."""

    def step(last: Step | None) -> Step:
        follows = play.verbs[last.verb].then if last else ()
        if last and follows and random.randrange(10) < 6:
            name, by = random.choice(follows)
            who = {"same": last.who, "lead": play.cast[0], "other": (*last.args, "")[0]}[by]
        else:
            [name] = random.choices(list(play.verbs), [verb.weight for verb in play.verbs.values()])
            leads = random.randrange(10) < play.verbs[name].lead
            who = play.cast[0] if leads else random.choice(play.cast)
        return Step(who, name, tuple(draw(random) for draw in play.verbs[name].draws))

    def act() -> tuple[Step, ...]:
        steps: list[Step] = []
        for _ in range(STEPS):
            steps.append(step(steps[-1] if steps else None))
        return tuple(steps)

    return Script(play, tuple(act() for _ in range(ACTS)))


def smaller(script: Script) -> Iterator[Script]:
    """Yield what it may be made smaller to, the smallest first."""
    if len(script.acts) > 1:
        yield evolve(script, acts=script.acts[:-1])
        yield evolve(script, acts=script.acts[1:])
    for number, act in enumerate(script.acts):
        for size in (len(act) // 2, 1) if len(act) > 3 else (1,):
            for at in range(0, len(act), size):
                left = act[:at] + act[at + size :]
                yield evolve(script, acts=(*script.acts[:number], left, *script.acts[number + 1 :]))


def smallest(script: Script, differs: Callable[[Script], bool]) -> Script:
    """Return a script of which nothing can be left out without its difference going away."""
    for less in smaller(script):
        if less != script and differs(less):
            return smallest(less, differs)
    return script
