"""`ScriptedAgent`: does what a script says, one step after another, whatever the client does.

A step is a method of `AgentCall` to be called: `lambda call: call.say("Hello")`, or, from a file,
`["say", {"text": "Hello"}]`. A script cut anywhere is a script, too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from inspect import signature
from operator import methodcaller
from typing import Final, TypeAlias

from utd_rx.engine.agent.call import AgentCall
from utd_rx.errors import invalid

Step: TypeAlias = Callable[[AgentCall], Awaitable[object]]

VERBS: Final = (
    *("create", "say", "interrupt", "hear", "call_tool", "fail", "send", "send_raw", "wait"),
    *("finish", "close", "cut", "vanish"),
)
"""The steps that a file may name."""


class ScriptedAgent:
    """Follows a script for each session.

    Args:
        scripts: Of the first session, the second, and so on; the last one is of all others.
    """

    def __init__(self, *scripts: Sequence[Step]) -> None:
        if not scripts:
            raise invalid("a scripted agent needs a script")
        self._scripts = scripts
        self._sessions = 0

    async def __call__(self, call: AgentCall) -> None:
        """Follow the script of this session; what is behind its last step is silence."""
        script = self._scripts[min(self._sessions, len(self._scripts) - 1)]
        self._sessions += 1
        for step in script:
            await step(call)


def read_scripts(text: str | bytes) -> tuple[tuple[Step, ...], ...]:
    """Return the scripts in a JSON text: a list for each session, of `[verb, {arguments}]`.

    Raises:
        UTDStreamException: `VALIDATION` for what is no script.
    """
    try:
        scripts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("a file of scripts is JSON") from error
    if not isinstance(scripts, list) or not all(isinstance(one, list) for one in scripts):
        raise invalid("a file of scripts is a list of lists of steps, one for each session")
    return tuple(tuple(map(_step, script)) for script in scripts)


def _step(said: object) -> Step:
    match said:
        case [str(verb)] if verb in VERBS:
            return _checked(verb, {})
        case [str(verb), dict(arguments)] if verb in VERBS:
            return _checked(verb, arguments)
    raise invalid(f"a step is [verb, {{arguments}}] with one of {', '.join(VERBS)}")


def _checked(verb: str, arguments: dict[str, object]) -> Step:
    try:
        signature(getattr(AgentCall, verb)).bind(None, **arguments)
    except TypeError as error:
        raise invalid(f"{verb}: {error}") from error
    return methodcaller(verb, **arguments)
