"""The embedded SFU over livekit-server, by the same bare `livekit` client code.

    python -m benchmarks.sfu [--quick]

Each SFU is a process of its own, so its CPU is its own; all clients of both are this process. The
SFUs take turns, round by round, so that both meet the same machine. Measured: how long a connect
takes, `publish_track` until `track_subscribed` at the peer, and a tone after silence until it is
in the peer's frames; packets that do not arrive, and the SFU's CPU, with 1 speaker and 8 listeners,
8 and 1, and 8 who do both; 2,000 reliable messages. Exit status 0 when it ran, whatever came out.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from attrs import Factory, define, frozen

from benchmarks.sfu_scenarios import (
    MESSAGES,
    ONSETS,
    Latencies,
    Load,
    Messages,
    Server,
    latencies,
    load,
    messages,
)
from benchmarks.support import (
    child,
    is_livekit_there,
    print_machine,
    print_table,
    quiet_livekit,
    ratio,
    spread,
    status_of,
    untargeted,
    verdict,
)
from utd_rx.engine.livekit_server import LiveKitServer
from utd_rx.engine.sfu.options import SfuOptions

LOADS: Final = ((1, 8), (8, 1), (8, 8))
EMBEDDED: Final = "embedded"
LIVEKIT: Final = "livekit-server"


@frozen
class Plan:
    """How often and how long."""

    rounds: int
    load_rounds: int
    load_seconds: float
    message_rounds: int


FULL: Final = Plan(rounds=10, load_rounds=2, load_seconds=10, message_rounds=5)
QUICK: Final = Plan(rounds=3, load_rounds=1, load_seconds=3, message_rounds=1)


@define
class Results:
    """What one SFU showed."""

    latencies: list[Latencies] = Factory(list)
    loads: dict[tuple[int, int], list[Load]] = Factory(lambda: {shape: [] for shape in LOADS})
    messages: list[Messages] = Factory(list)

    @property
    def connects(self) -> list[float]:
        return [seconds * 1000 for one in self.latencies for seconds in one.connect]

    @property
    def subscribed(self) -> list[float]:
        return [one.subscribed * 1000 for one in self.latencies]

    @property
    def onsets(self) -> list[float]:
        return [seconds * 1000 for one in self.latencies for seconds in one.onset]

    @property
    def late(self) -> list[float]:
        return [one.late * 1000 for one in self.latencies]


@contextlib.asynccontextmanager
async def embedded() -> AsyncIterator[Server]:
    """Run the embedded SFU in a child process."""
    key, secret = _credentials()
    async with child("sfu", api_key=key, api_secret=secret) as served:
        yield Server(EMBEDDED, served.ready["url"], served.pid, key, secret)


@contextlib.asynccontextmanager
async def livekit() -> AsyncIterator[Server]:
    """Run livekit-server, as the engine runs it."""
    key, secret = _credentials()
    server = LiveKitServer(SfuOptions(api_key=key, api_secret=secret))
    try:
        await server.start()
        assert server.pid is not None
        yield Server(LIVEKIT, server.url, server.pid, key, secret)
    finally:
        await server.aclose()


def _credentials() -> tuple[str, str]:
    return f"key-{secrets.token_hex(4)}", secrets.token_urlsafe(32)


async def measure(servers: Sequence[Server], plan: Plan) -> dict[str, Results]:
    """Run every scenario on the SFUs in turn."""
    results = {server.name: Results() for server in servers}
    for server in servers:  # LiveKit's native library and both SFUs do everything once
        await latencies(server)
    for number in range(plan.rounds):
        for server in _in_turn(servers, number):
            results[server.name].latencies.append(await latencies(server))
    print_machine("latencies done")
    for number in range(plan.load_rounds):
        for shape in LOADS:
            for server in _in_turn(servers, number):
                measured = await load(server, *shape, plan.load_seconds)
                results[server.name].loads[shape].append(measured)
    print_machine("audio loads done")
    for number in range(plan.message_rounds):
        for server in _in_turn(servers, number):
            results[server.name].messages.append(await messages(server))
    print_machine("messages done")
    return results


def _in_turn(servers: Sequence[Server], number: int) -> Sequence[Server]:
    return servers if number % 2 == 0 else servers[::-1]


Row = tuple[str, str, str, str]


def rows(results: dict[str, Results]) -> Iterator[Row]:
    """Tell what was measured, median (min-max)."""
    ours, theirs = results[EMBEDDED], results.get(LIVEKIT, Results())
    yield ("median (min-max)", EMBEDDED, LIVEKIT, "ratio or target")
    figures: tuple[tuple[str, Callable[[Results], list[float]]], ...] = (
        ("connect, ms", lambda one: one.connects),
        ("publish -> subscribed, ms", lambda one: one.subscribed),
        ("tone after silence, ms", lambda one: one.onsets),
    )
    for name, figure in figures:
        a, b = figure(ours), figure(theirs)
        yield (name, spread(a), spread(b), verdict(ratio(a, b)))
    yield (
        "late join -> subscribed, ms",
        spread(ours.late),
        spread(theirs.late),
        untargeted(ratio(ours.late, theirs.late)),
    )
    for shape in LOADS:
        yield from _load_rows(shape, ours.loads[shape], theirs.loads[shape])
    yield from _message_rows(ours.messages, theirs.messages)


def _load_rows(shape: tuple[int, int], ours: list[Load], theirs: list[Load]) -> Iterator[Row]:
    name = f"{shape[0]} x {shape[1]}" if shape[0] == shape[1] else f"{shape[0]} -> {shape[1]}"
    missing = sum(one.missing for one in ours)
    yield (
        f"{name}: packets lost",
        _lost(ours),
        _lost(theirs),
        f"{missing:5d}  {'met' if not missing else 'MISSED'} (0)",
    )
    a, b = ([one.cpu * 100 for one in side] for side in (ours, theirs))
    yield (
        f"{name}: CPU, % of a core",
        spread(a, 1),
        spread(b, 1),
        untargeted(ratio(a, b)),
    )


def _lost(loads: list[Load]) -> str:
    if not loads:
        return "-"
    rate = statistics.median(one.sent / one.seconds for one in loads)
    missing, sent = sum(one.missing for one in loads), sum(one.sent for one in loads)
    return f"{missing} of {sent:,} ({rate:,.0f}/s)"


def _message_rows(ours: list[Messages], theirs: list[Messages]) -> Iterator[Row]:
    right = all(one.is_right for one in ours)
    yield (
        f"{MESSAGES:,} reliable messages",
        _right(ours),
        _right(theirs),
        "       met (in order, once)" if right else "       MISSED (in order, once)",
    )
    for name, figure in (("s", "seconds"), ("SFU's CPU s", "cpu_seconds")):
        a, b = ([getattr(one, figure) for one in side] for side in (ours, theirs))
        yield (f"  {name}", spread(a, 2), spread(b, 2), untargeted(ratio(a, b)))


def _right(runs: list[Messages]) -> str:
    if not runs:
        return "-"
    right = sum(one.is_right for one in runs)
    missing, again = sum(one.missing for one in runs), sum(one.duplicates for one in runs)
    told = f"right in {right} of {len(runs)} runs"
    return told if right == len(runs) else f"{told}, {missing} missing, {again} twice"


async def run(plan: Plan) -> None:
    """Start what there is, measure and print."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(embedded())]
        if is_livekit_there():
            servers.append(await stack.enter_async_context(livekit()))
        print_machine("start")
        results = await measure(servers, plan)
    n = plan.rounds
    print(
        f"\nn: {3 * n} connects, {n} publishes, {ONSETS * n} onsets, "
        f"{plan.load_rounds} loads of {plan.load_seconds:g} s, {plan.message_rounds} of messages"
    )
    print_table(list(rows(results)))


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="the embedded SFU over livekit-server")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    args = parser.parse_args()
    quiet_livekit()
    return status_of(run(QUICK if args.quick else FULL))


if __name__ == "__main__":
    sys.exit(main())
