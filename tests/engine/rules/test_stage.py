"""The stage: who comes on and off it, whose hand is up, and what everybody is told of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from attrs import evolve

from tests.engine.rules.test_moderation import ADMIN, BACKEND, HOST, refused, room_of
from tests.engine.rules.test_room_state import LIVE, admit
from utd_rx.engine.rules import moderation, room_state, stage
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    PublishStage,
    Push,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.roles import LISTEN, STAR, Actor, Role
from utd_rx.engine.rules.room_state import Done, RoomState, Session, grant_of, stage_of
from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource
from utd_rx.models.stage import UTDStageMember

MONA, OMAR = Actor("mona"), Actor("omar")
CREATED = "2026-05-04T10:00:05.000Z"
T0 = 100.0

Command = Callable[[RoomState, Actor, float], Done]
raise_hand: Command = partial(stage.raise_hand, created_at=CREATED)


def on(target: str) -> Command:
    return partial(stage.add, target=target)


def off(target: str) -> Command:
    return partial(stage.remove, target=target)


def live_room() -> RoomState:
    """A live stream whose host publishes; everybody is there but omar, a member."""
    room, effects = room_state.published(room_of(LIVE), "sara", T0)
    assert effects == (PublishStage(),)
    assert stage_of(room).is_live is True
    return room


def after(room: RoomState, *steps: tuple[Actor, Command]) -> RoomState:
    for actor, command in steps:
        room, _, _ = command(room, actor, T0)
    return room


def closed(*identities: str) -> Effects:
    payloads = [FrozenMap[str, object]({"identity": who}) for who in identities]
    pairs = zip(payloads, identities, strict=True)
    return tuple(TellModerators("_stage_request_closed", told, (who,)) for told, who in pairs)


def names(room: RoomState) -> list[str]:
    return [member.identity for member in stage_of(room).members]


def hands(room: RoomState) -> list[str]:
    return [hand.asked.identity for hand in room.stage.hands]


def gone(room: RoomState, identity: str, now: float, grace: float) -> tuple[RoomState, Effects]:
    return room_state.left(room, Session(identity, f"PA_{identity}"), now, grace)


def test_the_host_is_on_the_stage_first_and_while_connected() -> None:
    room = admit(None, "mona", type_=LIVE)
    room, _ = room_state.joined(room, Session("mona", "PA_1"), T0)
    assert names(room) == []
    room = after(room, (BACKEND, on("mona")))
    room, _, effects = room_state.admit(
        room, room_state.Admission("sara", LIVE, Role.HOST, name="Sara"), 2, T0
    )
    assert effects == ()
    room, effects = room_state.joined(room, Session("sara", "PA_2", STAR), T0)
    assert effects == (PublishStage(),)
    assert stage_of(room).members == (
        UTDStageMember("sara", "Sara", "host"),
        UTDStageMember("mona", None, "audience"),
    )


def test_who_comes_to_own_the_room_is_the_host_of_the_stage() -> None:
    room = admit(None, "omar", type_=LIVE)
    for who in ("mona", "omar"):
        room = admit(room, who, type_=LIVE)
        room, _ = room_state.joined(room, Session(who, f"PA_{who}"), T0)
    room = after(room, (BACKEND, on("omar")), (BACKEND, on("mona")))
    owned = admit(room, "mona", Role.HOST, type_=LIVE)
    assert names(owned) == ["mona", "omar"]
    assert owned.stage.promoted == {"omar"}


@pytest.mark.parametrize("actor", [HOST, ADMIN, BACKEND])
def test_a_promotion_grants_at_once_and_a_demotion_revokes(actor: Actor) -> None:
    before = live_room()
    room, effects, reply = on("mona")(before, actor, T0)
    assert effects == (ApplyGrant("mona"), PublishStage())
    assert grant_of(room, "mona") == STAR
    assert (names(room), reply["rev"]) == (["sara", "mona"], before.stage.revision + 1)
    room, effects, reply = off("mona")(room, actor, T0)
    assert effects == (ApplyGrant("mona"), PublishStage())
    assert grant_of(room, "mona") == LISTEN
    assert (names(room), reply["rev"]) == (["sara"], before.stage.revision + 2)


def test_members_stand_in_the_order_of_promotion_and_leave_by_themselves() -> None:
    room = after(live_room(), (HOST, on("mona")), (HOST, on("adam")))
    assert names(room) == ["sara", "mona", "adam"]
    room, effects, _ = stage.leave(room, MONA, T0)
    assert effects == (ApplyGrant("mona"), PublishStage())
    assert names(room) == ["sara", "adam"]


def test_an_admin_publishes_only_on_the_stage_and_moderates_off_it() -> None:
    room = live_room()
    assert grant_of(room, "adam") == LISTEN
    on_stage = after(room, (ADMIN, on("adam")))
    assert grant_of(on_stage, "adam") == STAR
    off_again = after(on_stage, (HOST, off("adam")), (ADMIN, on("mona")))
    assert grant_of(off_again, "adam") == LISTEN
    assert names(off_again) == ["sara", "mona"]


@pytest.mark.parametrize(
    ("actor", "command", "status"),
    [
        (HOST, on("sara"), 409),
        (ADMIN, on("sara"), 409),
        (HOST, on("adam"), 409),
        (HOST, on("omar"), 404),
        (HOST, on("nobody"), 404),
        (HOST, off("sara"), 409),
        (ADMIN, off("sara"), 403),
        (HOST, stage.leave, 409),
        (BACKEND, stage.leave, 422),
        (HOST, raise_hand, 409),
        (ADMIN, raise_hand, 409),
        (BACKEND, raise_hand, 422),
        (HOST, partial(stage.dismiss, target="mona"), 404),
    ],
)
def test_what_is_refused(actor: Actor, command: Command, status: int) -> None:
    room = after(live_room(), (HOST, on("adam")))
    assert refused(lambda: command(room, actor, T0)) == status


@pytest.mark.parametrize("command", [off("mona"), off("nobody"), stage.lower_hand])
def test_what_is_so_already_changes_nothing(command: Command) -> None:
    room = live_room()
    found, effects, _ = command(room, HOST, T0)
    assert (found, effects) == (room, ())


def test_other_rooms_have_no_stage() -> None:
    room = room_of()
    assert refused(lambda: on("mona")(room, HOST, T0)) == 409
    assert refused(lambda: stage.end(room, HOST, T0)) == 409
    room, effects = room_state.published(room, "sara", T0)
    gone_, _ = gone(room, "sara", T0, 20.0)
    assert (room.stage, gone_.stage, effects) == (room_of().stage, room.stage, ())


def test_a_raised_hand_keeps_its_place_and_its_age() -> None:
    room, effects, reply = raise_hand(live_room(), MONA, T0)
    assert effects == (TellModerators("_stage_request", FrozenMap(reply)),)
    assert reply == {"identity": "mona", "created_at": CREATED}
    room = after(room, (ADMIN, raise_hand))
    again, effects, reply = stage.raise_hand(room, MONA, T0 + 5, created_at="later")
    assert again == room
    assert effects == (TellModerators("_stage_request", FrozenMap(reply)),), "told once more"
    assert reply["created_at"] == CREATED
    asked = {"identity": "mona", "created_at": CREATED, "age": 9.5}
    assert stage.shown(again, HOST, T0 + 9.5)["requests"] == [asked, {**asked, "identity": "adam"}]


@pytest.mark.parametrize(
    ("actor", "seen"),
    [
        (HOST, ["mona", "adam"]),
        (ADMIN, ["mona", "adam"]),
        (BACKEND, ["mona", "adam"]),
        (MONA, ["mona"]),
        (OMAR, []),
    ],
)
def test_moderators_see_all_hands_and_others_their_own(actor: Actor, seen: list[str]) -> None:
    room = after(live_room(), (MONA, raise_hand), (ADMIN, raise_hand))
    shown = stage.shown(room, actor, T0)["requests"]
    assert isinstance(shown, list)
    assert [row["identity"] for row in shown] == seen


@pytest.mark.parametrize(
    ("actor", "command"),
    [
        (MONA, stage.lower_hand),
        (HOST, partial(stage.dismiss, target="mona")),
        (ADMIN, partial(stage.dismiss, target="mona")),
        (HOST, partial(moderation.silence, target="mona")),
    ],
)
def test_a_hand_goes_down_and_its_owner_and_moderators_hear(actor: Actor, command: Command) -> None:
    room, effects, _ = command(after(live_room(), (MONA, raise_hand)), actor, T0)
    assert hands(room) == []
    assert effects[-1:] == closed("mona")
    assert PublishStage() not in effects, "hands are nobody's business but theirs"


def test_a_promotion_takes_the_hand_down() -> None:
    room, effects, _ = on("mona")(after(live_room(), (MONA, raise_hand)), HOST, T0)
    assert hands(room) == []
    assert effects == (ApplyGrant("mona"), PublishStage(), *closed("mona"))
    assert refused(lambda: raise_hand(room, MONA, T0)) == 409


def test_what_follows_from_a_role_or_a_name_on_the_stage_is_published() -> None:
    room = after(live_room(), (HOST, on("mona")))
    admin, effects, _ = moderation.set_role(room, HOST, T0, "mona", Role.ADMIN)
    assert effects[0] == WriteRole("mona")
    assert effects[-1] == PublishStage()
    assert stage_of(admin).members[1].role == "admin"
    _, effects, _ = moderation.set_role(room, HOST, T0, "adam", Role.GUEST)
    assert PublishStage() not in effects, "who is not on it is not shown"
    asked = room_state.Admission("mona", LIVE, Role.AUDIENCE, name="Mona")
    named, _, effects = room_state.admit(room, asked, 9, T0)
    assert effects == (PublishStage(),)
    assert stage_of(named).members[1].name == "Mona"
    assert named.stage.revision == room.stage.revision + 1


# -- live


def test_only_the_hosts_track_makes_it_live() -> None:
    room = after(room_of(LIVE), (HOST, on("mona")))
    same, effects = room_state.published(room, "mona", T0)
    assert (same, effects) == (room, ())
    live, _ = room_state.published(room, "sara", T0)
    again, effects = room_state.published(live, "sara", T0)
    assert (again, effects) == (live, ())
    absent, _ = gone(room_of(LIVE), "sara", T0, 2.0)
    assert room_state.published(absent, "sara", T0) == (absent, ())


@pytest.mark.parametrize("actor", [HOST, BACKEND])
def test_the_end_leaves_the_host_alone_and_is_told_once(actor: Actor) -> None:
    steps = (HOST, on("adam")), (MONA, raise_hand)
    room, effects, reply = stage.end(after(live_room(), *steps), actor, T0)
    assert effects == (ApplyGrant("adam"), PublishStage(), Push("_live_ended"))
    assert (names(room), hands(room), reply["live"]) == (["sara"], [], False)
    assert stage.end(room, actor, T0)[:2] == (room, ())
    again, _ = room_state.published(room, "sara", T0)
    assert stage_of(again).is_live


def test_an_end_before_it_is_live_tells_of_every_hand() -> None:
    room = after(room_of(LIVE), (HOST, on("adam")), (MONA, raise_hand))
    room, effects, _ = stage.end(room, HOST, T0)
    assert effects == (ApplyGrant("adam"), PublishStage(), *closed("mona"))


def test_a_host_who_vanishes_is_waited_for() -> None:
    room = after(live_room(), (HOST, on("mona")), (ADMIN, raise_hand))
    away, effects = gone(room, "sara", T0, ABSENCE_SECONDS)
    assert effects == ()
    missed, effects = room_state.time_passed(away, T0 + ABSENCE_SECONDS)
    assert effects == (PublishStage(),)
    assert (names(missed), stage_of(missed).is_live) == (["mona"], True)
    assert room_state.next_deadline(missed) == T0 + 60.0
    assert room_state.time_passed(missed, T0 + 59.9) == (missed, ())
    over, effects = room_state.time_passed(missed, T0 + 60.0)
    assert effects == (ApplyGrant("mona"), PublishStage(), Push("_live_ended"))
    assert (names(over), hands(over), stage_of(over).is_live) == ([], [], False)
    back, effects = room_state.joined(missed, Session("sara", "PA_2", STAR), T0 + 59.9)
    assert effects == (PublishStage(),)
    assert (names(back), room_state.next_deadline(back)) == (["sara", "mona"], None)


def test_a_host_who_reconnects_was_never_away() -> None:
    room = live_room()
    away, _ = gone(room, "sara", T0, 2.0)
    back, effects = room_state.joined(away, Session("sara", "PA_2", STAR), T0 + 1.0)
    assert effects == ()
    assert (back.stage, stage_of(back).is_live) == (room.stage, True)


def test_the_wait_is_as_long_as_the_engine_was_told() -> None:
    room = room_state.fresh("friday", LIVE, 1, host_grace=5.0)
    asked = room_state.Admission("sara", LIVE, Role.HOST)
    room, _, _ = room_state.admit(room, asked, 1, T0)
    room, _ = room_state.joined(room, Session("sara", "PA_sara"), T0)
    room, _ = room_state.published(room, "sara", T0)
    away, _ = gone(room, "sara", T0, ABSENCE_SECONDS)
    assert room_state.next_deadline(away) == T0 + 5.0


def test_a_host_who_is_thrown_out_takes_the_broadcast_along() -> None:
    room = after(live_room(), (HOST, on("mona")))
    room, effects = moderation.expel(room, "sara", T0)
    assert effects[:3] == (ApplyGrant("mona"), PublishStage(), Push("_live_ended"))
    assert names(room) == []


# -- absence


@pytest.mark.parametrize("grace", [2.0, ABSENCE_SECONDS])
def test_place_and_hand_wait_for_who_is_away(grace: float) -> None:
    room = after(live_room(), (HOST, on("mona")), (ADMIN, raise_hand))
    away, effects = gone(room, "mona", T0, grace)
    away, more = gone(away, "adam", T0, grace)
    assert (effects, more) == ((), ())
    assert room_state.time_passed(away, T0 + grace - 0.1) == (away, ())
    over, effects = room_state.time_passed(away, T0 + grace)
    assert effects == (ApplyGrant("mona"), PublishStage(), *closed("adam"))
    assert (names(over), hands(over)) == (["sara"], [])
    back, effects = room_state.joined(away, Session("mona", "PA_2", STAR), T0 + 1.0)
    assert effects == ()
    back, _ = room_state.time_passed(back, T0 + grace)
    assert names(back) == ["sara", "mona"]


def test_who_is_removed_is_off_at_once() -> None:
    room = after(live_room(), (HOST, on("mona")), (ADMIN, raise_hand))
    removed, effects = gone(room, "mona", T0, 0.0)
    assert effects == (ApplyGrant("mona"), PublishStage())
    expelled, effects = moderation.expel(removed, "adam", T0)
    assert effects[:1] == closed("adam")
    assert (names(expelled), hands(expelled)) == (["sara"], [])


def test_a_hand_of_who_never_comes_is_not_up_for_ever() -> None:
    room, _, _ = raise_hand(live_room(), OMAR, T0)
    room, effects = room_state.time_passed(room, T0 + ABSENCE_SECONDS)
    assert effects == closed("omar")


# -- beside the stage


def test_who_was_forbidden_to_publish_is_off_the_stage_and_stays_so() -> None:
    room = after(live_room(), (HOST, on("mona")))
    room, effects, _ = moderation.silence(room, BACKEND, T0, "mona")
    assert effects == (ApplyGrant("mona"), PublishStage())
    assert grant_of(room, "mona") == LISTEN
    assert refused(lambda: on("mona")(room, HOST, T0)) == 403
    room, _, _ = moderation.unsilence(room, BACKEND, T0, "mona")
    assert names(room) == ["sara"], "the place stays lost"
    silent, _, _ = moderation.silence(room, BACKEND, T0, "sara")
    assert names(silent) == ["sara"], "the host stays the host"


def test_permissions_do_not_replace_the_stage_and_narrow_it() -> None:
    room = after(live_room(), (HOST, on("mona")))
    no = {"can_publish": False}
    assert refused(lambda: moderation.change_grant(room, BACKEND, T0, "mona", no)) == 409
    sources = {"sources": (TrackSource.CAMERA, TrackSource.UNKNOWN)}
    narrow, _, _ = moderation.change_grant(room, BACKEND, T0, "mona", sources)
    assert grant_of(narrow, "mona") == evolve(STAR, sources=(TrackSource.CAMERA,))
    given, _, _ = moderation.change_grant(room, BACKEND, T0, "adam", {"can_publish": True})
    assert grant_of(given, "adam") == STAR
    assert names(given) == ["sara", "mona"], "a backend's grant is no place on the stage"


@pytest.mark.parametrize(("name", "most"), [("M", stage.MAX_MEMBERS), ("名" * 256, 73)])
def test_the_stage_is_as_large_as_a_push_carries(name: str, most: int) -> None:
    room = live_room()
    for number in range(most):
        who = f"viewer-{number}"
        asked = room_state.Admission(who, LIVE, Role.AUDIENCE, name=name)
        room, _, _ = room_state.admit(room, asked, 1, T0)
        room, _ = room_state.joined(room, Session(who, f"PA_{who}"), T0)
    full = after(room, *((HOST, on(f"viewer-{number}")) for number in range(most - 1)))
    assert len(names(full)) == most
    assert refused(lambda: on(f"viewer-{most - 1}")(full, HOST, T0)) == 409


def test_the_hands_have_a_bound() -> None:
    room = live_room()
    for number in range(stage.MAX_HANDS):
        who = f"viewer-{number}"
        room = admit(room, who, type_=LIVE)
        room = after(room, (Actor(who), raise_hand))
    assert refused(lambda: raise_hand(room, MONA, T0)) == 409
    assert len(after(room, (Actor("viewer-7"), raise_hand)).stage.hands) == stage.MAX_HANDS
