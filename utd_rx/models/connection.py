"""The lifecycle of a session's connection, and why one ended."""

from __future__ import annotations

from enum import Enum


class OrUnknown(Enum):
    """An enum of LiveKit's numbers; one that this version does not know is its `UNKNOWN`."""

    @classmethod
    def _missing_(cls, value: object) -> OrUnknown:
        return cls["UNKNOWN"]


class UTDConnectionState(Enum):
    """Where the media connection stands.

    `FORCE_EXIT` is final for this join: the outage lasted 60 s (docs/contract.md, "Outages"); join
    again to come back.
    """

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FORCE_EXIT = "forceExit"


class DisconnectReason(OrUnknown):
    """Why LiveKit ended a connection; `value` is LiveKit's number (docs/livekit.md, "Events")."""

    UNKNOWN = 0
    CLIENT_INITIATED = 1
    DUPLICATE_IDENTITY = 2
    SERVER_SHUTDOWN = 3
    PARTICIPANT_REMOVED = 4
    ROOM_DELETED = 5
    STATE_MISMATCH = 6
    JOIN_FAILURE = 7
    MIGRATION = 8
    SIGNAL_CLOSE = 9
    ROOM_CLOSED = 10
    USER_UNAVAILABLE = 11
    USER_REJECTED = 12
    SIP_TRUNK_FAILURE = 13
    CONNECTION_TIMEOUT = 14
    MEDIA_FAILURE = 15
    AGENT_ERROR = 16


class ConnectionQuality(OrUnknown):
    """LiveKit's judgement of a participant's link; `value` is LiveKit's number."""

    UNKNOWN = -1
    POOR = 0
    GOOD = 1
    EXCELLENT = 2
    LOST = 3
