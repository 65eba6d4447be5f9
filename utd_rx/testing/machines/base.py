"""What all machines have in common: a world, the people in it, bad weather, and its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.strategies import SearchStrategy

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.testing.strategies.words import NAMES
from utd_rx.testing.world.world import FakeWorld

S = TypeVar("S")

CALM_SECONDS: Final = 100.0
"""After that long without trouble nothing is under way any more: an outage ends after 60 s, and a
command is given up after 30 more at most."""

NEVER: Final = frozenset(
    (UTDErrorCode.UNKNOWN, UTDErrorCode.SERVER, UTDErrorCode.MALFORMED_RESPONSE)
)
"""What no command of these machines may fail with, whatever the weather."""


TROUBLES: Final = (
    "lose_connection",
    "interrupt",
    "slow_down",
    "lose_messages",
    "heal",
    "vanish",
)
"""The rules in which something breaks or is mended, to be left out with `without`."""


def known(read: Callable[[Any], Sequence[Any]]) -> SearchStrategy[Any]:
    """One of what a machine knows at the moment when it draws."""
    return st.runner().flatmap(lambda machine: st.sampled_from(read(machine)))


PEOPLE: Final[SearchStrategy[str]] = known(lambda machine: machine.people)
"""Anybody."""

PRESENT: Final[SearchStrategy[str]] = known(lambda machine: machine.present)
"""Somebody who is `present`."""

is_anybody_there: Final = precondition(lambda self: bool(self.present))


class WorldMachine(RuleBasedStateMachine, Generic[S]):
    """People in a `FakeWorld`; a subclass says in which kind of session, and what they do.

    Commands are begun and not waited for: with a good network they are done when their step is,
    with a bad one other things happen meanwhile. What is refused is no failure. A rule that says
    nothing of itself is the session's command of that name.

    Attributes:
        people: Who takes part, the host first; all are there from the beginning.
        without: The names of rules that are left out; `TROUBLES` leave the network alone.
        world: Where all happens.
        sessions: Whoever is there, by identity.
        refusals: What was refused or failed, in order.
    """

    people: ClassVar[tuple[str, ...]] = NAMES[:3]
    without: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in cls.without:
            if not hasattr(cls, name):
                raise invalid(f"{cls.__name__} has no rule {name!r} to be left out")
            setattr(cls, name, None)  # no rule any more, which shrinks better than one never valid

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, S] = {}
        self.refusals: list[UTDStreamException] = []
        self._under_way: dict[object, str] = {}
        self.world = FakeWorld()

    # --- for subclasses -------------------------------------------------------------------------

    def begin(self) -> None:
        """Let `people` come, one after the other; extend it to bring an app."""
        for who in self.people:
            self.come(who)

    def come(self, who: str) -> None:
        """Let somebody begin, with a session of their own unless they have one."""
        raise NotImplementedError

    @property
    def present(self) -> list[str]:
        """Who takes part now: who has a session."""
        return list(self.sessions)

    def always(self) -> None:
        """Look at what holds after each step.

        As an invariant of Hypothesis does, but without a line in each step of a failing example.
        """

    def when_calm(self) -> None:
        """Look at what must hold when the network is good again and nothing is under way.

        Called at the end of each example, unless it failed before.
        """

    def command(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin something, and let everything happen that takes no time."""
        self.world.spawn(self._tolerated(work))
        self.world.settle()
        self.always()

    # --- what happens anyway --------------------------------------------------------------------

    @rule(who=PEOPLE)
    def join(self, who: str) -> None:
        """Somebody comes, or comes back."""
        self.come(who)

    @rule(seconds=st.sampled_from([1, 3, 16, 61]))
    def wait(self, seconds: float) -> None:
        """Time passes: not to be noticed, a little, more than 15 s and more than a minute."""
        self.world.advance(seconds)
        self.always()

    @is_anybody_there
    @rule(who=PRESENT)
    def lose_connection(self, who: str) -> None:
        """Nothing gets through any more, both ways, until `heal`."""
        self._happens(lambda: self.world.network.partition(who))

    @is_anybody_there
    @rule(who=PRESENT, full=st.booleans())
    def interrupt(self, who: str, full: bool) -> None:
        """Somebody's connections break once, and are made anew."""
        self._happens(lambda: self.world.network.interrupt(who, full=full))

    @is_anybody_there
    @rule(who=PRESENT, seconds=st.sampled_from([0.2, 2.0]))
    def slow_down(self, who: str, seconds: float) -> None:
        """Everything takes longer, until `heal`."""
        self._happens(lambda: self.world.network.delay(who, seconds))

    @is_anybody_there
    @rule(who=PRESENT)
    def lose_messages(self, who: str) -> None:
        """Data messages are lost, those of the engine too, until `heal`."""
        self._happens(lambda: self.world.network.drop(who))

    @is_anybody_there
    @rule(who=PRESENT)
    def heal(self, who: str) -> None:
        """Somebody's network is good again."""
        self._happens(lambda: self.world.network.heal(who))

    @is_anybody_there
    @rule(who=PRESENT)
    def vanish(self, who: str) -> None:
        """Somebody's program ends without a word; they may come back with a new one."""
        del self.sessions[who]
        self._happens(lambda: self.world.kill(who))

    # --- its end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        """End the example: everybody's network heals, then `when_calm` looks."""
        try:
            if sys.exc_info()[0] is None:  # else it failed already, and this would hide why
                self._calm_down()
        finally:
            self.world.__exit__(*sys.exc_info())

    def _calm_down(self) -> None:
        self.world.network.heal()
        self.world.advance(CALM_SECONDS)
        assert not self._under_way, f"never came to an end: {', '.join(self._under_way.values())}"
        self.when_calm()

    def _happens(self, trouble: Callable[[], None]) -> None:
        trouble()
        self.world.settle()
        self.always()

    async def _tolerated(self, work: Coroutine[Any, Any, object]) -> None:
        key = object()
        self._under_way[key] = str(getattr(work, "__qualname__", work))
        try:
            await work
        except UTDStreamException as error:
            assert error.code not in NEVER, error
            self.refusals.append(error)
        finally:
            del self._under_way[key]
