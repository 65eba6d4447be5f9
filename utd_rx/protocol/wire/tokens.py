"""The two mints on the wire (facts/utd-engine.md §3.2)."""

from __future__ import annotations

from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.protocol.wire.reading import Json, read_bool, read_text


def token_from_wire(wire: Json) -> UTDTokenResponse | None:
    """Read a room mint; None when it lacks the token, the url or the bearer it is for."""
    token, url = read_text(wire.get("token")), read_text(wire.get("url"))
    user_token = read_text(wire.get("user_token"))
    if token is None or url is None or user_token is None:
        return None
    return UTDTokenResponse(
        token=token,
        url=url,
        room_name=read_text(wire.get("roomName")) or read_text(wire.get("room_name")) or "",
        user_token=user_token,
        ws_url=read_text(wire.get("ws_url")),
        role=read_text(wire.get("role")),
    )


def token_to_wire(reply: UTDTokenResponse) -> dict[str, object]:
    """Write a room mint; the name goes under both keys (§7.4, 26)."""
    return {
        "token": reply.token,
        "url": reply.url,
        "roomName": reply.room_name,
        "room_name": reply.room_name,
        "user_token": reply.user_token,
        **({} if reply.ws_url is None else {"ws_url": reply.ws_url}),
        **({} if reply.role is None else {"role": reply.role}),
    }


def session_from_wire(wire: Json) -> UTDSessionResponse | None:
    """Read a room-less mint; None when it lacks the bearer."""
    user_token = read_text(wire.get("user_token"))
    if user_token is None:
        return None
    return UTDSessionResponse(
        user_token=user_token,
        ws_url=read_text(wire.get("ws_url")),
        signaling_enabled=read_bool(wire.get("signaling_enabled")),
        messaging_enabled=read_bool(wire.get("messaging_enabled")),
    )


def session_to_wire(reply: UTDSessionResponse) -> dict[str, object]:
    """Write a room-less mint; what is None is left out."""
    wire = {
        "user_token": reply.user_token,
        "ws_url": reply.ws_url,
        "signaling_enabled": reply.signaling_enabled,
        "messaging_enabled": reply.messaging_enabled,
    }
    return {key: value for key, value in wire.items() if value is not None}
