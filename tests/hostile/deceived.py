"""A client whom an engine lies to, and what is to be true of it whatever the lie."""

from __future__ import annotations

import base64
import html
import re
import traceback
from urllib.parse import quote, unquote

from tests.hostile.engine_lies import JOINS, Comes, Tell
from tests.hostile.lies import Liar, Lie
from utd_rx import UTDConnectionState, UTDStreamClient, UTDStreamException
from utd_rx.models.secrets import MAX_TEXT


def client(engine: Liar, base_url: str) -> UTDStreamClient:
    """Return a client of the engine of a `lying_engine`, at its url or at a lying one."""
    told = engine.ready
    return UTDStreamClient(
        told["app_id"], told["app_key"], base_url=base_url, token_base_url=base_url
    )


async def meet(engine: Liar, lie: Lie[Tell, Comes], room: str) -> None:
    """Join by an engine that tells a lie; fail where something else comes of it."""
    failure: UTDStreamException | None = None
    async with (
        client(engine, f"{engine.ready['lying']}/{quote(lie.name)}") as deceived,
        deceived.audio_room("victim", room, as_host=True, seat_count=2) as session,
    ):
        try:
            await session.join()
        except UTDStreamException as error:
            failure = error
        else:
            assert session.connection_state.value is UTDConnectionState.CONNECTED
    assert (JOINS if failure is None else failure.code.name) in lie.comes, (lie.name, failure)
    if failure is not None:
        assert failure.message.isprintable(), lie.name
        assert len(failure.message) < 2 * MAX_TEXT, lie.name
        shown = "".join(traceback.format_exception(failure))
        shown += repr(vars(failure))
        for read in (shown, unquote(unquote(shown)), html.unescape(shown), _read(shown)):
            assert engine.ready["app_key"] not in read, lie.name


def _read(shown: str) -> str:
    """Return it with the escapes of JSON read, and what is in base64."""
    words = re.findall(r"[A-Za-z0-9+/]{16,}", shown)
    plain = (base64.b64decode(one[: len(one) // 4 * 4]).decode("latin-1") for one in words)
    escapes = re.compile(r"\\+u00([0-9a-f]{2})")
    return "".join(plain) + escapes.sub(lambda found: chr(int(found[1], 16)), shown)
