"""Arbitrary JSON, and values as an engine may really have them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from utd_rx.models.ban import UTDBan
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid, UTDSeatMode

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.text(st.characters(categories=["Cs", "Nd"]), max_size=4)
    | st.sampled_from(["free", "request", "1", "-1", "true", "7.0", "banned", "9" * 400])
)
json_values: SearchStrategy[object] = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def _objects(keys: str, **known: SearchStrategy[object]) -> SearchStrategy[dict[str, object]]:
    """Objects with any of the `keys`, each with any value or, often, one as `known` makes it."""
    values = {
        key: known[key] | json_values if key in known else json_values for key in keys.split()
    }
    return st.fixed_dictionaries({}, optional=values)


def _lists(items: SearchStrategy[dict[str, object]]) -> SearchStrategy[object]:
    return st.lists(items | json_values, max_size=4)


_seats = _objects("seat_index index occupant_identity identity locked reserved_for attributes name")
_bans = _objects("id identity name attributes room_name reason banned_at expires_at")
_requests = _objects("id identity created_at")
grid_objects = _objects(
    "seat_count count seat_mode mode mode_id seats requests rev",
    seats=_lists(_seats),
    requests=_lists(_requests),
)
"""JSON objects with the keys of a grid and anything as their values; so the next ones."""

_members = _objects("identity name role", identity=st.sampled_from(["me", "ana"]))
stage_objects = _objects(
    "members rev live", members=_lists(_members), rev=st.integers(0, 9), live=st.booleans()
)

request_lists = _lists(_requests) | json_values
invitation_objects = _objects("invitation_id inviter_identity target_identity seat_index")
push_objects = _objects(
    "type request_id id identity role previous_role user_id mode_id seat_count invitation_id "
    "inviter_identity target_identity seat_index locked room_name reason expires_at "
    "members rev live",
    type=st.sampled_from(
        [
            "_speaker_request",
            "_speaker_request_approved",
            "_speaker_request_rejected",
            "_speaker_invitation",
            "_speaker_invitation_accepted",
            "_role_change",
            "_comment_lock",
            "_banned",
            "_mode_change",
            "_stage_update",
            "_stage_request",
            "_stage_request_closed",
            "_live_ended",
        ]
    ),
    role=st.sampled_from(["host", "admin", "audience"]),
    identity=st.sampled_from(["me", "ana"]),
    target_identity=st.sampled_from(["me", "ana"]),
)
_chats = _objects(
    "message text messageID timestamp senderUserId",
    message=st.just("chatMessage"),
    text=st.sampled_from(["hello", "  ", "x" * 5_000]),
    timestamp=st.integers(0, 2**50) | st.floats(),
)
chat_objects = _objects("roomChat type", roomChat=_chats)
ban_objects = _objects("data bans", data=_lists(_bans), bans=_lists(_bans))
error_objects = _objects("message error detail code")
mint_objects = _objects(
    "token url roomName room_name user_token ws_url role signaling_enabled messaging_enabled"
)

names = st.text(min_size=1, max_size=12)
attributes = st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3).map(FrozenMap)
numbers = st.integers(min_value=0, max_value=2**53)
requests = st.builds(
    SpeakRequest, id=numbers, identity=names, created_at=st.none() | st.text(min_size=1)
)
bans = st.builds(
    UTDBan,
    identity=names,
    id=st.none() | numbers,
    name=st.none() | names,
    room_name=st.none() | names,
    reason=st.none() | names,
    banned_at=st.none() | names,
    expires_at=st.none() | names,
    attributes=attributes,
)


@st.composite
def grids(draw: st.DrawFn) -> UTDSeatGrid:
    """A grid of 0 to 12 seats, whose indices are their places."""
    count = draw(st.integers(0, 12))
    return UTDSeatGrid(
        seats=tuple(
            UTDSeat(
                index,
                identity=draw(st.none() | names),
                is_locked=draw(st.booleans()),
                reserved_for=draw(st.none() | names),
                attributes=draw(attributes),
            )
            for index in range(count)
        ),
        mode=draw(st.sampled_from(UTDSeatMode)),
        mode_id=draw(st.none() | names),
        requests=tuple(draw(st.lists(requests, max_size=4))),
        revision=draw(st.none() | numbers),
    )
