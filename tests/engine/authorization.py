"""How each row of `authorization_matrix.csv` is called, and by whom.

In the room are `owner` (sara), `admin`, `guest`, `audience` and `visitor`, and two more listeners,
`other` and nobody else; `stranger` has a bearer and no membership. `own` is the caller, `absent`
somebody who was never there.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from attrs import field, frozen

from tests.engine.conftest import World
from tests.engine.fakes import WALL
from tests.engine.rules.asks import Invite, RequestSeat, TakeSeat
from utd_rx.engine.authorization import FOR_MEMBERS, FOR_MODERATORS, Callers, Principal, RoomAccess
from utd_rx.engine.core import Rule
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.rules import room_state, stage
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import Admission
from utd_rx.engine.rules.seat_state import Reply, SeatCommand, SetUpSeats
from utd_rx.engine.signed_tokens import SignedTokens
from utd_rx.engine.tokens import UserClaims
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.reading import read_int

MATRIX: Final = Path(__file__).with_name("authorization_matrix.csv")

PEOPLE: Final[Mapping[str, Role]] = {
    "owner": Role.HOST,
    "admin": Role.ADMIN,
    "guest": Role.GUEST,
    "audience": Role.AUDIENCE,
    "visitor": Role.VISITOR,
    "other": Role.AUDIENCE,
}
BEARERS: Final = ("stranger", "visitor", "audience", "guest", "admin", "owner")
CALLERS: Final = ("nobody", "app_key", *BEARERS, "secret")
NOT_APPLICABLE: Final = "-"
SEAT: Final = 6


@frozen
class Row:
    """One line: what is called about whom, and the status each caller gets."""

    endpoint: str
    method: str
    path: str
    target: str
    statuses: Mapping[str, str] = field(repr=False)

    @property
    def id(self) -> str:
        return f"{self.endpoint}-{self.target}"


def read_matrix() -> list[Row]:
    """Read the table; blanks beside the commas are for people."""
    lines = MATRIX.read_text("utf-8").splitlines()
    rows = []
    for line in csv.DictReader(line for line in lines if not line.startswith("#")):
        cells = {key.strip(): value.strip() for key, value in line.items()}
        method, path = cells.pop("call").split()
        rows.append(Row(cells.pop("endpoint"), method, path, cells.pop("target"), cells))
    return rows


@frozen
class Cell:
    """One call: in which room, by whom, about whom."""

    world: World
    room: str
    caller: str
    target: str

    @property
    def me(self) -> str | None:
        return self.caller if self.caller in BEARERS else None

    @property
    def subject(self) -> str:
        """Whom the call is about."""
        named = {"own": self.me, "host": "owner", "absent": "gone", "-": None}
        return named.get(self.target, self.target) or "other"

    def headers(self) -> dict[str, str]:
        if self.caller == "nobody":
            return {}
        if self.caller == "app_key":
            return self.world.app
        if self.caller == "secret":
            return self.world.server
        return self.bearer(self.caller)

    def bearer(self, identity: str) -> dict[str, str]:
        token = SignedTokens(self.world.secrets).sign_bearer(
            UserClaims(identity), self.world.clock.wall()
        )
        return {"Authorization": f"Bearer {token}"}

    async def open(self, type_: UTDStreamType, mode: UTDSeatMode) -> None:
        """Have the room, everybody in it connected."""
        core = self.world.engine.core
        name = self.world.livekit(self.room)
        for identity, role in PEOPLE.items():
            seats = SetUpSeats(8, mode) if identity == "owner" else None
            is_proven = role in (Role.ADMIN, Role.GUEST)
            asked = Admission(identity, type_, role, is_proven=is_proven, seats=seats)
            await core.mint(self.room, asked)
            who = MediaParticipant(identity, f"PA_{self.room}_{identity}", joined_at=WALL)
            self.world.media.people[name][identity] = who
            await core.participant_joined(self.room, who)

    async def sit(self) -> None:
        """Have the subject sit, if it is there to."""

        if self.subject in PEOPLE:
            await self._act(FOR_MEMBERS, self.subject, TakeSeat(SEAT))

    async def speak(self, identity: str, item: RequestSeat | Invite) -> int:
        """Have somebody ask or invite; returns the id."""

        asks = isinstance(item, RequestSeat)
        allowed = FOR_MEMBERS if asks else FOR_MODERATORS
        (id_,) = map(read_int, (await self._act(allowed, identity, item)).values())
        assert id_ is not None
        return id_

    async def dial(self, caller: str, callee: str) -> str:
        """Have a call, in whose room the caller is; returns its id."""
        body = {"callee_identity": callee}
        reply = await self.world.call("POST", "/api/v1/calls", body, headers=self.bearer(caller))
        assert reply.status == 201, reply.body
        await self.world.media.connect(self.world.engine.core, reply.body["token"])
        return str(reply.body["call_id"])

    async def promote(self) -> None:
        """Have the subject on the stage, if it is there to; the host is by itself."""
        if self.subject in PEOPLE and self.subject != "owner":
            await self._command("owner", partial(stage.add, target=self.subject))

    async def raise_hand(self) -> None:
        """Have the subject's hand up, if it can be."""
        if self.subject in PEOPLE and self.subject != "owner":
            rule = partial(stage.raise_hand, created_at="2026-05-04T10:00:00.000Z")
            await self._command(self.subject, rule)

    async def _act(self, allowed: Callers, identity: str, item: SeatCommand) -> Reply:
        rule = partial(room_state.command_seats, item=item)
        return await self._command(identity, rule, allowed)

    async def _command(self, identity: str, rule: Rule, allowed: Callers = FOR_MEMBERS) -> Reply:
        core = self.world.engine.core
        room, principal = core.rooms.all()[self.room], Principal(bearer=UserClaims(identity))
        return await core.command(RoomAccess(allowed, principal, room, identity), rule)


@frozen
class Call:
    """How an endpoint is called: what must be so before, the body, what the path's blanks are."""

    body: Callable[[Cell], Mapping[str, object] | None] = lambda cell: None
    given: Callable[[Cell], object] = lambda cell: None
    mode: UTDSeatMode = UTDSeatMode.FREE
    type: UTDStreamType = UTDStreamType.AUDIO_ROOM


LiveCall = partial(Call, type=UTDStreamType.LIVE_STREAM)


def as_actor(cell: Cell) -> dict[str, object]:
    """Claim to be the subject, as a backend does for whom it acts; `own` needs no claim."""
    return {} if cell.target == "own" else {"identity": cell.subject}


def backend_as(identity: str, **fields: object) -> Callable[[Cell], dict[str, object]]:
    """Send `fields`; a backend says for whom it acts, since it is nobody itself."""
    return lambda cell: {**fields, **({"identity": identity} if cell.me is None else {})}


def banning(*, in_room: bool) -> Callable[[Cell], dict[str, object]]:
    return lambda cell: {
        "identity": cell.subject,
        **({"room_name": cell.room} if in_room else {}),
    }


async def pending(cell: Cell) -> int:
    """The subject's request."""
    if cell.subject not in PEOPLE:
        return 999
    return await cell.speak(cell.subject, RequestSeat("2026-05-04T10:00:00.000Z"))


async def invited(cell: Cell) -> int:
    """The subject's invitation, from whoever of the two moderators it is not."""
    if cell.subject not in PEOPLE:
        return 999
    return await cell.speak("admin" if cell.subject == "owner" else "owner", Invite(cell.subject))


async def called(cell: Cell) -> str:
    """A call to the caller of the cell, or else one between others."""
    callee = cell.me if cell.target == "own" else None
    return await cell.dial(f"caller in {cell.room}", callee or f"callee in {cell.room}")


async def calling(cell: Cell) -> str:
    """A call that the caller of the cell made, or else one that "other" made."""
    who = (cell.me if cell.target in ("own", "absent") else None) or "other"
    known = [call.id for call in cell.world.engine.core.calls.calls() if call.party(who)]
    return known[0] if known else await cell.dial(who, f"callee of {who}")


SITTING: Final = Call(given=Cell.sit)
ASKED: Final = Call(given=pending, mode=UTDSeatMode.REQUEST)
INVITED: Final = Call(
    body=lambda cell: {"identity": cell.subject} if cell.caller == "secret" else {}, given=invited
)


def aimed(cell: Cell) -> dict[str, object]:
    return {"target_identity": cell.subject}


CALLS: Final[Mapping[str, Call]] = {
    "mint": Call(
        lambda cell: {"identity": cell.subject, "room_name": cell.room, "type": "audio_room"}
    ),
    "session": Call(lambda cell: {"identity": cell.subject}),
    "seats.setup": Call(lambda cell: {"seat_count": 4}, given=Cell.sit),
    "seats.get": Call(),
    "seats.take": Call(as_actor),
    "seats.leave": Call(as_actor, given=Cell.sit),
    "seats.move": Call(lambda cell: {"target_seat": 7, **as_actor(cell)}, given=Cell.sit),
    "seats.kick": SITTING,
    "seats.lock": SITTING,
    "seats.unlock": SITTING,
    "seats.mute": SITTING,
    "seats.unmute": SITTING,
    "speakers.request": Call(as_actor, mode=UTDSeatMode.REQUEST),
    "speakers.cancel": Call(as_actor, given=pending, mode=UTDSeatMode.REQUEST),
    "speakers.list": Call(),
    "speakers.approve": ASKED,
    "speakers.reject": ASKED,
    "speakers.invite": Call(
        lambda cell: {
            "target_identity": cell.subject,
            **({"identity": "owner"} if cell.me is None else {}),
        }
    ),
    "speakers.invitations": Call(given=invited),
    "speakers.accept": INVITED,
    "speakers.decline": INVITED,
    "stage.get": LiveCall(),
    "stage.add": LiveCall(aimed),
    "stage.remove": LiveCall(aimed, given=Cell.promote),
    "stage.leave": LiveCall(as_actor, given=Cell.promote),
    "stage.request": LiveCall(as_actor),
    "stage.cancel": LiveCall(as_actor, given=Cell.raise_hand),
    "stage.dismiss": LiveCall(aimed, given=Cell.raise_hand),
    "live.end": LiveCall(),
    "rooms.list": Call(),
    "room.get": Call(),
    "room.delete": Call(),
    "room.metadata": Call(lambda cell: {"metadata": {"theme": "dark"}}),
    "room.send-data": Call(lambda cell: {"data": {"type": "gift"}}),
    "comments.lock": Call(lambda cell: {"locked": True}),
    "participants.by-role": Call(),
    "participant.get": Call(),
    "participant.kick": Call(),
    "participant.mute": Call(lambda cell: {"audio": True, "video": True, "muted": True}),
    "participant.role": Call(lambda cell: {"role": "guest" if cell.me == "guest" else "admin"}),
    "participant.metadata.own": Call(lambda cell: {"metadata": {"mood": "fine"}}),
    "participant.metadata": Call(lambda cell: {"metadata": {"mood": "fine"}}),
    "participant.permissions": Call(lambda cell: {"can_publish_data": False}),
    "participant.forbid-stream": Call(),
    "participant.resume-stream": Call(),
    "ban.room": Call(banning(in_room=True)),
    "ban.project": Call(banning(in_room=False)),
    "unban.room": Call(banning(in_room=True)),
    "unban.project": Call(banning(in_room=False)),
    "bans.room": Call(),
    "bans.project": Call(),
    "project": Call(),
    "call.start": Call(lambda cell: {"callee_identity": f"callee of {cell.caller}"}),
    **{
        f"call.{name}": Call(given=called)
        for name in ("ringing", "accept", "reject", "busy", "end", "get")
    },
    "call.join": Call(given=calling),
    "call.participant": Call(given=calling),
    "calls.list": Call(given=called),
}
"""By the endpoint's name in the matrix."""


async def status_of(row: Row, cell: Cell) -> int:
    """Make the call of one cell and return its status."""
    call = CALLS[row.endpoint]
    await cell.open(call.type, call.mode)
    found = call.given(cell)
    id_ = await found if hasattr(found, "__await__") else found
    path = row.path.format(room=cell.room, identity=cell.subject, index=SEAT, id=id_)
    body = call.body(cell)
    reply = await cell.world.call(row.method, f"/api/v1{path}", body, headers=cell.headers())
    return reply.status
