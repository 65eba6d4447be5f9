"""`utd-rx engine`: a local engine to develop against, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli import missing
from utd_rx.cli.access import ACCESS, EngineAccess, EngineNote
from utd_rx.cli.options import PORT, address, as_json, fail
from utd_rx.cli.progress import progress
from utd_rx.cli.serving import serve

if TYPE_CHECKING:
    from utd_rx.engine import LocalEngine

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
    *("livekit_api_key", "livekit_api_secret", "page_url"),
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

{page}In another terminal: utd-rx join friday --host
A backend acts with app secret {app_secret}.
LiveKit's server API: key {livekit_api_key}, secret {livekit_api_secret}.
For development and tests only: state is kept in memory, and whoever has the app key is anybody.
Press Ctrl-C to stop."""


PAGE: Final = "See it, and hear yourself, in a browser: {page_url}\n"


@click.command()
@address
@click.option("--sfu-port", type=PORT, default=0, metavar="N", help="The media server's, likewise.")
@click.option("--app-id", metavar="ID", help="Made for this run unless given.")
@click.option("--app-key", metavar="KEY", help="Likewise.")
@click.option("--app-secret", metavar="S", help="Likewise.")
@click.option(
    "--sfu",
    type=click.Choice(("embedded", "livekit")),
    default="embedded",
    help="The media server in this process, or livekit-server.",
)
@click.option("--livekit-url", metavar="URL", help="With --sfu livekit: a server that runs.")
@click.option("--livekit-api-key", metavar="K", help="Derived from the app secret unless given.")
@click.option("--livekit-api-secret", metavar="S", help="With the key.")
@click.option("--rate-limit", type=int, metavar="N", help="Requests a minute; else no limit.")
@click.option("--webhook-url", metavar="URL", help="Where a backend takes the engine's webhooks.")
@click.option(
    "--ring-timeout",
    type=float,
    default=30.0,
    metavar="S",
    help="Seconds until an unanswered call is missed.",
)
@click.option(
    "--max-call-seconds",
    type=float,
    default=3600.0,
    metavar="S",
    help="The longest that a call lasts.",
)
@click.option(
    "--host-grace",
    type=float,
    default=60.0,
    metavar="S",
    help="Seconds that a broadcast waits for its host.",
)
@click.option(
    "--page/--no-page",
    default=True,
    help="A page that shows what goes on, for browsers of this machine.",
)
@as_json
def command(as_json: bool, **options: Any) -> int:
    """Run a local engine, with its media server, until Ctrl-C.

    While it runs, `utd-rx join`, `live`, `call`, `record` and `token` on this machine find it by
    themselves. Exits with 0 after SIGINT or SIGTERM, with 1 when it cannot start.
    """
    needed = {**NEEDED, **(NEEDED_EMBEDDED if options["sfu"] == "embedded" else {})}
    if absent := [needed[module] for module in missing(needed)]:
        return fail("engine", 2, f"missing {', '.join(absent)}; install with: {INSTALL}")
    try:
        with progress("starting the engine"):
            # Imported late: `utd-rx --help` needs none of it.
            from utd_rx.engine import EngineOptions, LocalEngine

            given = EngineOptions(**options)
            engine = LocalEngine(given)
        sfu = "an external server" if given.is_external else given.sfu
        return asyncio.run(_serve(engine, sfu, as_json=as_json))
    except BrokenPipeError:
        raise  # whoever read it has gone
    except OSError as error:
        return fail("engine", 1, f"cannot start: {error.strerror or error}")
    except KeyboardInterrupt:
        return 0  # Ctrl-C while it loads, or before the loop had its own handler


async def _serve(engine: LocalEngine, sfu: str, *, as_json: bool) -> int:
    note = EngineNote()

    def announcement() -> str:
        values = {name: getattr(engine, name) for name in FIELDS}
        if as_json:
            return json.dumps(values)
        note.write(EngineAccess(*(values[name] for name in ACCESS)))
        page = PAGE if engine.page_url is not None else ""
        return SUMMARY.format(sfu=sfu, page=page.format(**values), **values)

    try:
        return await serve(engine, announcement)
    finally:
        note.remove()
