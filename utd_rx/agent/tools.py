"""Client tools: Python functions that a voice agent may call (docs/agent.md, "Tools")."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from attrs import field, frozen

from utd_rx.agent.schema import Reader, Schema, reader_of
from utd_rx.errors import invalid
from utd_rx.models.agent import AgentTool
from utd_rx.models.app_json import frozen_json
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.protocol.wire.atoms import MAX_RESULT

ToolFunction: TypeAlias = Callable[..., Coroutine[Any, Any, object]]

MAX_ERROR: Final = 200
"""Characters of what is told of a failure: the agent reads it, and nobody else."""

SPARE: Final = 0.5
"""Seconds of a time-out, a tenth of it at most, that are for the way of the answer: one that comes
when the server has given up is none."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@frozen
class ClientTool:
    """A function with what is told of it; made by `agent_tool`.

    Args:
        declared: What the server is told.
        function: What is called, with the arguments as keywords.
        readers: What is made of each argument.
    """

    declared: AgentTool
    function: ToolFunction = field(repr=False)
    readers: Mapping[str, Reader] = field(repr=False)


def agent_tool(
    function: ToolFunction,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = 15.0,
    expects_response: bool = True,
) -> ClientTool:
    """Return an async function as a tool of an agent, with the JSON schema of its signature.

    A parameter is a `str`, `int`, `float`, `bool`, a `Literal`, a list or a `dict[str, …]` of
    such, or one of these or None; `Annotated[str, "the city"]` describes it. One with a default is
    optional. What it returns is sent as it is when it is a string, else as JSON.

    Args:
        function: An async function; plain ones in `AtomsAgentSession(tools=…)` are made tools with
            the defaults.
        name: As the agent calls it; the function's unless given.
        description: When to call it; the first paragraph of its docstring unless given.
        timeout: Seconds after which the server gives up, 1 to 60; it is cancelled before, in time
            for the agent to hear why.
        expects_response: False when the agent goes on without waiting for a result.

    Raises:
        UTDStreamException: `VALIDATION`: no async function, a signature that no schema says, a
            name that is none, or a time-out out of its range.
    """
    if not inspect.iscoroutinefunction(function):
        raise invalid("a tool is an async function: write `async def`")
    name = getattr(function, "__name__", None) if name is None else name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("a tool's name is 1 to 64 characters of A-Z, a-z, 0-9, _ and -")
    schema, readers = _parameters(function, name)
    if description is None:
        description = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    parameters = cast("FrozenMap[str, object]", frozen_json(schema))
    declared = AgentTool(name, description, parameters, timeout, expects_response)
    return ClientTool(declared, function, readers)


class Toolbox:
    """The tools of a session, by name.

    Args:
        tools: Tools, and async functions to make tools of.
        clock: Of their time-outs.

    Raises:
        UTDStreamException: `VALIDATION`, as `agent_tool`, or two of one name.
    """

    def __init__(
        self, tools: Iterable[ClientTool | ToolFunction], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        if not isinstance(tools, Iterable):
            raise invalid(f"tools are async functions in a list, not {type(tools).__name__}")
        self._clock = clock
        self._tools: dict[str, ClientTool] = {}
        for one in tools:
            tool = one if isinstance(one, ClientTool) else agent_tool(one)
            if tool.declared.name in self._tools:
                raise invalid(f"two tools are called {tool.declared.name}")
            self._tools[tool.declared.name] = tool

    @property
    def declared(self) -> tuple[AgentTool, ...]:
        """What the server is told, in the order given."""
        return tuple(tool.declared for tool in self._tools.values())

    def is_answered(self, name: str) -> bool:
        """Whether the agent waits for what a tool returns; of an unknown one, for its error."""
        tool = self._tools.get(name)
        return tool is None or tool.declared.expects_response

    async def run(self, name: str, arguments: Mapping[str, object]) -> str:
        """Call a tool and return the output to send; a failure is an output, too.

        Cancelling is safe: it cancels the function.
        """
        try:
            output = await self._call(name, arguments)
        except Exception as error:  # noqa: BLE001 - the agent is told, whatever it is
            return failed(error)
        if len(output.encode(errors="replace")) > MAX_RESULT:
            return failed(ValueError(f"the result is longer than {MAX_RESULT // 1024} KiB"))
        return output

    async def _call(self, name: str, arguments: Mapping[str, object]) -> str:
        tool = self._tools.get(name)
        if tool is None:
            raise LookupError(f"no tool is called {name}")
        work = tool.function(**_read(tool.readers, arguments))
        timeout = tool.declared.timeout
        result = await self._within(timeout - min(SPARE, timeout / 10), work)
        if isinstance(result, str):
            return result
        return json.dumps(result, ensure_ascii=False, allow_nan=False)

    async def _within(self, seconds: float, work: Coroutine[Any, Any, object]) -> object:
        loop = asyncio.get_running_loop()
        task, due = loop.create_task(work, name="utd_rx agent tool"), loop.create_future()
        cancel = self._clock.call_at(
            self._clock.now() + seconds, lambda: None if due.done() else due.set_result(None)
        )
        try:
            await asyncio.wait((task, due), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise TimeoutError(f"no result within {seconds:g} s")
            if task.cancelled():
                raise RuntimeError("it was cancelled")
            return task.result()
        finally:
            cancel()
            task.cancel()


def _parameters(function: ToolFunction, name: str) -> tuple[Schema, dict[str, Reader]]:
    """Return the JSON schema of a function's parameters, and what reads each of them."""
    try:
        hints = inspect.get_annotations(function, eval_str=True)
    except Exception as error:
        raise invalid(f"the annotations of {name} cannot be read: {error}") from error
    properties: dict[str, object] = {}
    required: list[str] = []
    readers: dict[str, Reader] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name} of {name}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise invalid(f"{where} must have a name of its own: an agent calls by keyword")
        if parameter.name not in hints:
            raise invalid(f"{where} needs an annotation, for the JSON schema")
        schema, readers[parameter.name] = reader_of(hints[parameter.name], where)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        properties[parameter.name] = schema
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema, readers


def _read(readers: Mapping[str, Reader], arguments: Mapping[str, object]) -> dict[str, Any]:
    if strangers := sorted(set(arguments) - set(readers)):
        raise ValueError(f"no such argument: {strangers[0]}")
    return {name: readers[name](value, name) for name, value in arguments.items()}


def failed(error: Exception) -> str:
    """Return what the agent is told of a failure."""
    text = f"{type(error).__name__}: {error}"
    return json.dumps({"error": text[:MAX_ERROR]}, ensure_ascii=False)
