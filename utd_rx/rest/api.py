"""The engine's endpoints with types."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import asdict, evolve

from utd_rx.errors import invalid
from utd_rx.models.checks import whole
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.ports.engine import JoinRequest
from utd_rx.protocol.wire.reading import without_none
from utd_rx.protocol.wire.tokens import session_from_wire, token_from_wire
from utd_rx.rest.bearer import Bearer
from utd_rx.rest.calls import CallEndpoints
from utd_rx.rest.checks import checked_grid, checked_identity, checked_room
from utd_rx.rest.failures import malformed
from utd_rx.rest.moderation import ModerationEndpoints
from utd_rx.rest.seats import SeatEndpoints
from utd_rx.rest.stage import StageEndpoints


class UTDApi(SeatEndpoints, StageEndpoints, ModerationEndpoints, CallEndpoints):
    """The mints, and everything the groups it is made of offer; see `Endpoints`.

    What `acting_as` returns is an `EnginePort`. Both mints repeat: a second one gives the same
    person the same rights, and a ban or a kick in between is judged anew by the engine
    (docs/contract.md, "Owner and host" and "Old tokens").
    """

    def acting_as(self, request: JoinRequest) -> UTDApi:
        """Return an API over the same connections in which whom `request` names acts.

        It mints by itself: on `mint`, on the first call, before its bearer ends, and when the
        engine refuses that; see `Bearer`.
        """
        mint = partial(self.mint_token, **asdict(request, recurse=False))
        return UTDApi(self._engine, self._tokens, bearer=Bearer(mint, clock=self._tokens.clock))

    async def mint(self) -> UTDTokenResponse:
        """Mint for whom `acting_as` named, and act with the new bearer from now on; repeats.

        Raises:
            UTDStreamException: As `mint_token`, and `VALIDATION` where `acting_as` named nobody.
                The bearer stays as it was.
        """
        self._tokens.owner.check()
        reply = await self._bearer.mint() if isinstance(self._bearer, Bearer) else None
        if not isinstance(reply, UTDTokenResponse):
            raise invalid("nobody joins by this API; see UTDApi.acting_as")
        return reply

    async def mint_token(
        self,
        *,
        identity: str,
        room_name: str,
        type: UTDStreamType,  # noqa: A002 (the wire's word, and the seed's)
        role: str = "audience",
        name: str | None = None,
        device_id: str | None = None,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
        host_seat: int | None = None,
        image: str | None = None,
        room_owner_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        os: str | None = None,
        device_model: str | None = None,
        os_version: str | None = None,
        app_version: str | None = None,
    ) -> UTDTokenResponse:
        """Create the room if needed and return the credentials to join it
        (docs/contract.md, "Minting").

        What `UTDStreamClient.audio_room` has too is explained there.

        Args:
            type: The room's product type.
            role: What is asked for; the reply's `role` is what was granted.
            seat_count: 1 to 100.
            image: URL of a profile image.
            room_owner_id: The verified owner; with the app key it must equal `identity`.
            metadata: Attached to the participant.
            os: `android` or `ios`; without it the engine grants no video effects.
            device_model, os_version, app_version: Facts about the device.

        Raises:
            UTDStreamException: `VALIDATION` for an identity, name or seat that cannot be,
                `MALFORMED_RESPONSE` for a reply without a usable token, url or user token,
                `BANNED`, `FORBIDDEN`, `UNAUTHORIZED` and the rest as the engine answers.
        """
        body = without_none(
            identity=checked_identity(identity),
            room_name=checked_room(room_name),
            type=type.value,
            role=role,
            host_seat=None if host_seat is None else whole(host_seat, "host_seat"),
            metadata=None if metadata is None else dict(metadata),
            name=name,
            device_id=device_id,
            image=image,
            room_owner_id=room_owner_id,
            os=os,
            device_model=device_model,
            os_version=os_version,
            app_version=app_version,
            **checked_grid(seat_count, seat_mode, mode_id),
        )
        reply = token_from_wire(await self._tokens.post("/token", body, is_safe=True))
        if reply is None:
            raise malformed("the mint's reply lacks a token, url or user token that can be used")
        return reply if reply.room_name else evolve(reply, room_name=room_name)

    async def mint_session(
        self, *, identity: str, name: str | None = None, device_id: str | None = None
    ) -> UTDSessionResponse:
        """Return a bearer for `identity` that is not tied to a room (docs/contract.md, "Minting").

        Raises:
            UTDStreamException: As `mint_token`.
        """
        body = without_none(identity=checked_identity(identity), name=name, device_id=device_id)
        reply = session_from_wire(await self._tokens.post("/auth/session", body, is_safe=True))
        if reply is None:
            raise malformed("the session mint's reply lacks a user token that can be used")
        return evolve(reply, identity=identity)
