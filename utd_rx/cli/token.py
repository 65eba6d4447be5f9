"""`utd-rx token`: a token to join a room with any LiveKit client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from utd_rx.cli.access import EngineAccess, engine_access, find_access, guest
from utd_rx.cli.options import as_json
from utd_rx.cli.progress import progress

if TYPE_CHECKING:
    from utd_rx.models.token import UTDTokenResponse


@click.command()
@click.argument("room")
@click.option(
    "--type",
    "kind",
    type=click.Choice(("audio_room", "live_stream")),
    default="audio_room",
    help="Of the room.",
)
@click.option("--host", "as_host", is_flag=True, help="Be the host: whoever is first owns it.")
@engine_access
@as_json
def command(
    room: str,
    kind: str,
    as_host: bool,
    base_url: str | None,
    token_base_url: str | None,
    identity: str | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Print a token to join ROOM with any LiveKit client; with --json, where to, too.

    It is a secret: whoever has it is IDENTITY in the room.
    """
    from utd_rx.cli.plain import json_line

    access = find_access(base_url, token_base_url)
    role = "host" if as_host else "audience"
    with progress("asking the engine"):
        minted = asyncio.run(_mint(access, identity or guest(), room, kind, role, name))
    if not as_json:
        print(minted.token)
        return 0
    fields = ("token", "url", "room_name", "role", "user_token", "ws_url")
    print(json_line(**{field: getattr(minted, field) for field in fields}))
    return 0


async def _mint(
    access: EngineAccess, identity: str, room: str, kind: str, role: str, name: str | None
) -> UTDTokenResponse:
    from utd_rx.models.stream_type import UTDStreamType
    from utd_rx.rest.api import UTDApi

    http = access.mint()
    try:
        return await UTDApi(http, http).mint_token(
            identity=identity, room_name=room, type=UTDStreamType(kind), role=role, name=name
        )
    finally:
        await http.aclose()
