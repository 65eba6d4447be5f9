"""What `test_room_machine` draws, and the values of its model of a media server."""

from __future__ import annotations

from attrs import frozen
from hypothesis import strategies as st

from tests.engine.rules.asks import (
    AcceptInvitation,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    RejectRequest,
    RequestSeat,
    SetUpSeats,
    TakeSeat,
    UnlockSeat,
)
from utd_rx.engine.rules.roles import Grant, Role
from utd_rx.models.seats import UTDSeatMode

people = st.sampled_from(("sara", "adam", "mona", "omar", "李雷"))
indices = st.integers(-1, 5)
ids = st.integers(1, 3)
seat_commands = st.one_of(
    st.builds(
        SetUpSeats,
        count=st.none() | st.integers(0, 4),
        mode=st.none() | st.sampled_from(UTDSeatMode),
        host_seat=st.none() | st.integers(0, 3),
    ),
    st.builds(TakeSeat, indices),
    st.just(LeaveSeat()),
    st.builds(MoveSeat, indices),
    st.builds(KickSeat, indices),
    st.builds(LockSeat, indices),
    st.builds(UnlockSeat, indices),
)
speaker_commands = st.one_of(
    st.just(RequestSeat("2026-05-04T10:00:00.000Z")),
    st.just(CancelRequest()),
    st.builds(ApproveRequest, ids),
    st.builds(RejectRequest, ids),
    st.builds(Invite, people, st.none() | indices),
    st.builds(AcceptInvitation, ids),
    st.builds(DeclineInvitation, ids),
)
MODERATING = (SetUpSeats, KickSeat, LockSeat, UnlockSeat, ApproveRequest, RejectRequest, Invite)


@frozen
class Token:
    """What a mint signs: it stays as it is while the room goes on."""

    identity: str
    serial: int
    role: Role
    grant: Grant


@frozen
class Connection:
    """One session on the media server; `role` is what its metadata says."""

    sid: str
    token: Token
    grant: Grant
    role: Role


@frozen
class Report:
    """What the media server has to say about a session."""

    is_join: bool
    connection: Connection
