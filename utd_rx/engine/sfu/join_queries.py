"""What clients of `/rtc` say when they join: in the query, where `/rtc/v1` has a `JoinRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from livekit.protocol import models, rtc

# Where the name in the query is not the protocol's in small letters.
_SDKS: Final = {"ios": "SWIFT", "reactnative": "REACT_NATIVE", "unityweb": "UNITY_WEB"}
_TEXTS: Final = (
    *("version", "os", "os_version", "device_model", "browser", "browser_version", "network"),
)
_MOST: Final = 2**31 - 1


def join_request(query: Mapping[str, str]) -> rtc.JoinRequest:
    """Read a query as the request it stands for; what makes no sense counts as not said."""
    client = models.ClientInfo(
        sdk=_sdk(query.get("sdk", "")),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        **{name: query.get(name, "") for name in _TEXTS},
    )
    settings = rtc.ConnectionSettings(
        auto_subscribe=_is_set(query, "auto_subscribe", is_unsaid=True),
        adaptive_stream=_is_set(query, "adaptive_stream"),
    )
    return rtc.JoinRequest(
        client_info=client,
        connection_settings=settings,
        reconnect=_is_set(query, "reconnect"),
        participant_sid=query.get("sid", ""),
    )


def _sdk(name: str) -> str:
    known = _SDKS.get(name) or name.upper()
    return known if known in tuple(models.ClientInfo.SDK.keys()) else "UNKNOWN"


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text) if is_number and int(text) <= _MOST else 0


def _is_set(query: Mapping[str, str], name: str, *, is_unsaid: bool = False) -> bool:
    """A flag as clients write it: "1" or "true"."""
    text = query.get(name, "")
    return text in ("1", "true") if text else is_unsaid
