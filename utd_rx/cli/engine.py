"""`utd-rx engine`: a local engine to develop against, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Final

from utd_rx.cli import missing
from utd_rx.cli.serving import add_address, fail, port_number, serve
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from utd_rx.engine import EngineOptions

# The distribution's name where it is not the module's.
NEEDED: Final = {
    "livekit.api": "livekit-api",
    "livekit.protocol": "livekit-protocol",
    "jwt": "PyJWT",
    "google.protobuf": "protobuf",
}
NEEDED_EMBEDDED: Final = {
    "OpenSSL": "pyOpenSSL",
    "cryptography": "cryptography",
    "pylibsrtp": "pylibsrtp",
    "aiortc": "aiortc",
}
INSTALL: Final = "pip install 'utd-rx[engine]'"

FIELDS: Final = (
    *("base_url", "token_base_url", "livekit_url", "app_id", "app_key", "app_secret"),
    *("livekit_api_key", "livekit_api_secret"),
)
"""What `--json` prints, in this order."""

SUMMARY: Final = """\
The engine runs at {base_url}, its media at {livekit_url} ({sfu}).

    client = UTDStreamClient(
        app_id="{app_id}",
        app_key="{app_key}",
        base_url="{base_url}",
        token_base_url="{token_base_url}",
    )
    room = await client.join_audio_room("sara", "friday", as_host=True, seat_count=8)

A backend acts with app secret {app_secret}.
LiveKit's server API: key {livekit_api_key}, secret {livekit_api_secret}.
For development and tests only: state is kept in memory, and whoever has the app key is anybody.
Press Ctrl-C to stop."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    add = parser.add_argument
    add_address(parser)
    add(
        "--sfu-port",
        type=port_number,
        default=0,
        metavar="N",
        help="the media server's, TCP and UDP; 0, the default, is a free one of each",
    )
    add("--app-id", metavar="ID", help="made for this run unless given")
    add("--app-key", metavar="KEY", help="made for this run unless given")
    add("--app-secret", metavar="S", help="made for this run unless given")
    add(
        "--sfu",
        choices=("embedded", "livekit"),
        default="embedded",
        help="the SFU in this process, or livekit-server (default: %(default)s)",
    )
    add("--livekit-url", metavar="URL", help="with --sfu livekit: a server that runs already")
    add("--livekit-api-key", metavar="K", help="derived from the app secret unless given")
    add("--livekit-api-secret", metavar="S", help="with the key")
    add("--rate-limit", type=int, metavar="N", help="requests a minute (default: no limit)")
    add("--webhook-url", metavar="URL", help="where a backend takes the engine's webhooks")
    add(
        "--ring-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds until an unanswered call is missed (default: %(default)s)",
    )
    add(
        "--max-call-seconds",
        type=float,
        default=3600.0,
        metavar="S",
        help="the longest that a call lasts (default: %(default)s)",
    )
    add(
        "--host-grace",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds that a broadcast waits for its host (default: %(default)s)",
    )
    add("--json", action="store_true", help="print one line of JSON when ready")


def run(args: argparse.Namespace) -> int:
    """Run the engine: 0 after a signal, 1 when it could not start, 2 for what makes no sense."""
    needed = {**NEEDED, **(NEEDED_EMBEDDED if args.sfu == "embedded" else {})}
    if absent := [needed[module] for module in missing(needed)]:
        return fail("engine", 2, f"missing {', '.join(absent)}; install with: {INSTALL}")
    try:
        return _run(args)
    except UTDStreamException as error:
        return fail("engine", 1, error.message)
    except OSError as error:
        return fail("engine", 1, f"cannot start: {error.strerror or error}")
    except KeyboardInterrupt:
        return 0  # Ctrl-C while it loads, or before the loop had its own handler


def _run(args: argparse.Namespace) -> int:
    # Imported late: `utd-rx --help` needs none of it.
    from utd_rx.engine import EngineOptions

    given = {name: value for name, value in vars(args).items() if name not in ("command", "json")}
    try:
        options = EngineOptions(**given)
    except UTDStreamException as error:
        return fail("engine", 2, error.message)
    return asyncio.run(_serve(options, as_json=args.json))


async def _serve(options: EngineOptions, *, as_json: bool) -> int:
    from utd_rx.engine import LocalEngine

    engine = LocalEngine(options)

    def announcement() -> str:
        values = {name: getattr(engine, name) for name in FIELDS}
        sfu = "an external server" if options.is_external else options.sfu
        return json.dumps(values) if as_json else SUMMARY.format(sfu=sfu, **values)

    return await serve(engine, announcement)
