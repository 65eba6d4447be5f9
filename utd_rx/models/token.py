"""What a mint gives."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.secrets import CREDENTIAL
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class UTDTokenResponse(Value):
    """The reply of `POST /api/v1/token`: where to connect and with what.

    `room_name` is the un-prefixed name. Tokens stay out of the repr, which ends up in logs.
    `role` is what the engine granted, which may be less than what was asked.
    """

    token: str = field(repr=False, metadata=CREDENTIAL)
    url: str
    room_name: str
    user_token: str = field(repr=False, metadata=CREDENTIAL)
    ws_url: str | None = None
    role: str | None = None


@frozen(field_transformer=typed)
class UTDSessionResponse(Value):
    """The reply of `POST /api/v1/auth/session`: a bearer that is not tied to a room.

    None means that the engine did not say, which is different from False. `identity` is whom it
    was asked for.
    """

    user_token: str = field(repr=False, metadata=CREDENTIAL)
    ws_url: str | None = None
    signaling_enabled: bool | None = None
    messaging_enabled: bool | None = None
    identity: str | None = None
