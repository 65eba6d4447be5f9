"""`utd-rx room`: any LiveKit room from the terminal, with no engine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from utd_rx.cli.access import guest
from utd_rx.cli.display import SessionDisplay, display
from utd_rx.cli.options import as_json, fail
from utd_rx.cli.progress import hush_livekit, progress
from utd_rx.cli.record import make_folder, recorded
from utd_rx.cli.sound import open_room_sound, room_sound
from utd_rx.errors import invalid

if TYPE_CHECKING:
    from utd_rx.cli.cockpit import Command
    from utd_rx.models.encryption import Encryption
    from utd_rx.models.events import RoomEvent
    from utd_rx.models.statistics import RoomStatistics
    from utd_rx.sessions.room import RoomSession

HINT: Final = "m mute, s statistics, text and Enter writes (a space first), q leaves"

WATCHED: Final = ("room_info",)

URL: Final = "LIVEKIT_URL"

KEY_AND_SECRET: Final = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
"""As LiveKit's own tools call them. An argument could be read by every user of the machine."""

ENCRYPTION_KEY: Final = "LIVEKIT_E2EE_KEY"
"""Where a key for end-to-end encryption is looked for, for the same reason."""

TOKEN_SECONDS: Final = 6 * 3600
"""How long a token of this command's holds; the server renews it meanwhile."""


@click.command()
@click.argument("url", envvar=URL)
@click.argument("token", envvar="LIVEKIT_TOKEN", required=False)
@click.option("--room", metavar="NAME", help="Which room, where this command makes the token.")
@click.option("--as", "identity", metavar="IDENTITY", help="Who joins, likewise.")
@click.option("--name", metavar="NAME", help="Their display name, likewise.")
@click.option(
    "--record",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the room's state and everybody's voice there.",
)
@click.option("--no-subscribe", is_flag=True, help="Receive nobody's sound or pictures.")
@click.option("--clear-text", is_flag=True, help="Allow ws:// to another machine.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"Encrypt end to end with the key in its first line, else with {ENCRYPTION_KEY}.",
)
@room_sound
@as_json
def command(
    url: str,
    token: str | None,
    room: str | None,
    identity: str | None,
    name: str | None,
    out: Path | None,
    key_file: Path | None,
    **options: Any,
) -> int:
    """Be in a LiveKit room at URL with TOKEN: see who is there, speak, listen, write.

    URL and TOKEN may be told by LIVEKIT_URL and LIVEKIT_TOKEN: one argument that is no URL is the
    token. Without a token, and with
    LIVEKIT_API_KEY and LIVEKIT_API_SECRET in the environment, it makes one for --room.

    Exits with 0 after `q`, with 1 when the room could not be joined or was lost.
    """
    if "://" not in url and _is_given("url") and not _is_given("token"):
        url, token = os.environ.get(URL, ""), url
        if not url:
            raise invalid(f"no URL: give one, as wss://example.livekit.cloud, or set {URL}")
    if token is None:
        token = _own_token(room, identity, name)
    elif room or identity or name:
        raise invalid("--room, --as and --name are in the token: leave them out, or the token")
    try:
        if out is not None:
            make_folder(out)
        encryption = encryption_of(key_file)
    except OSError as error:
        if error.filename == str(key_file):
            return fail("room", 1, f"cannot read {key_file}: {error.strerror}")
        return fail("room", 1, f"cannot make {out}: {error.strerror}; choose --record")
    hush_livekit()
    return asyncio.run(_attend(url, token, out, encryption, **options))


def _is_given(argument: str) -> bool:
    """Whether it stands on the command line, and not in the environment."""
    source = click.get_current_context().get_parameter_source(argument)
    return source is ParameterSource.COMMANDLINE


async def _attend(
    url: str,
    token: str,
    out: Path | None,
    encryption: Encryption | None,
    *,
    microphone: str | None,
    speaker: str | None,
    no_subscribe: bool,
    clear_text: bool,
    as_json: bool,
) -> int:
    from utd_rx.cli.attending import Attendance, status_of
    from utd_rx.plain_room import open_room

    async with AsyncExitStack() as stack:
        with progress("joining"):
            mouth, ear = await open_room_sound(stack, microphone, speaker)
            joining = open_room(
                url,
                token,
                microphone=mouth,
                auto_subscribe=not no_subscribe,
                allow_clear_text=clear_text,
                encryption=encryption,
            )
            session = await stack.enter_async_context(joining)
        shown = display(as_json=as_json)
        session.events.subscribe(partial(tell_encryption, shown))
        if out is not None:
            await stack.enter_async_context(
                recorded(session, out, shown, has_sound=True, has_chat=False)
            )
        await Attendance(
            session,
            shown,
            keys(session, shown),
            HINT,
            WATCHED,
            lambda: (one.identity for one in session.remote_participants.value),
            mouth,
            ear,
        ).last()
        return status_of(session, "room")


def encryption_of(key_file: Path | None) -> Encryption | None:
    """Return what the key in a file's first line, or in the environment, encrypts with."""
    from utd_rx.models.encryption import Encryption

    if key_file is None:
        key = os.environ.get(ENCRYPTION_KEY, "")
        return Encryption(key) if key else None
    with key_file.open("rb") as file:
        return Encryption(file.readline().rstrip(b"\r\n"))


def tell_encryption(shown: SessionDisplay, event: RoomEvent) -> None:
    """Tell how it is with the encryption of what somebody publishes, once that is known."""
    from utd_rx.models.encryption import EncryptionState
    from utd_rx.models.events import ParticipantEncryptionChanged
    from utd_rx.models.secrets import foreign_text

    if isinstance(event, ParticipantEncryptionChanged) and event.encryption not in (
        EncryptionState.NEW,
        EncryptionState.NONE,
    ):
        word = event.encryption.name.lower().replace("_", " ")
        shown.event("encryption", event, f"encryption of {foreign_text(event.identity)}: {word}")


def keys(room: RoomSession, shown: SessionDisplay) -> dict[str, Command]:
    """Return what each key does in a room."""

    async def mute() -> None:
        await room.set_microphone(not room.microphone_enabled.value)

    async def statistics() -> None:
        measured = await room.statistics()
        shown.event("statistics", measured, statistics_line(measured))

    return {"m": mute, "s": statistics}


def statistics_line(measured: RoomStatistics) -> str:
    """Return figures as one line that any terminal may print."""
    from utd_rx.models.secrets import foreign_text

    tracks = [
        f"{foreign_text(one.identity)} {one.source.name.lower()} {one.bit_rate / 1000:.0f} kbit/s"
        + ("" if one.loss is None else f", {one.loss:.1%} lost")
        for one in measured.tracks
    ]
    trip = measured.round_trip
    way = "round trip not measured yet" if trip is None else f"round trip {1000 * trip:.0f} ms"
    return "; ".join([way, *tracks])


def _own_token(room: str | None, identity: str | None, name: str | None) -> str:
    """Return a token made of the key and the secret in the environment."""
    key, secret = (os.environ.get(name) for name in KEY_AND_SECRET)
    if not key or not secret:
        raise invalid(
            f"no token: give one, or set LIVEKIT_TOKEN, or {' and '.join(KEY_AND_SECRET)}"
        )
    if not room:
        raise invalid("no token, and so no room: say which with --room")
    now = int(time.time())
    claims = {
        "iss": key,
        "sub": identity or guest(),
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "video": {"roomJoin": True, "room": room, "canUpdateOwnMetadata": True},
    }
    return signed({**claims, "name": name} if name else claims, secret)


def signed(claims: Mapping[str, object], secret: str) -> str:
    """Return claims as a JWT signed with HS256, as LiveKit takes them."""
    head = {"alg": "HS256", "typ": "JWT"}
    text = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
    signature = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + _encoded(signature)).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
