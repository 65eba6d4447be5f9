"""Roles come from where only the engine writes, or from its own answer."""

from __future__ import annotations

import json

from utd_rx.models import events as e
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.role import UTDRole
from utd_rx.protocol import roles as rules
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.people import FetchRole, RoleFetched, RoleHinted, RoleNotFetched
from utd_rx.protocol.roles import MAX_WANTED, Roles
from utd_rx.protocol.roster import Roster, from_snapshot


def with_role(role: str) -> str:
    return json.dumps({"role": role, "appId": "1"})


def person(identity: str, role: str) -> RemoteParticipant:
    return RemoteParticipant(identity, metadata=with_role(role))


SNAPSHOT = e.RoomSnapshot(
    "r",
    LocalParticipant("me", metadata=with_role("host")),
    remotes=(person("ana", "audience"), person("adam", "admin"), RemoteParticipant("bot")),
)
ROSTER = from_snapshot(SNAPSHOT)
REJOIN = e.Reconnected(SNAPSHOT)
JOINED = rules.step(Roles(), JoinSucceeded(1, SNAPSHOT), ROSTER)


def after(*facts: object, roster: Roster = ROSTER, roles: Roles = JOINED) -> Roles:
    for fact in facts:
        roles = rules.step(roles, fact, roster)
    return roles


def test_metadata_tells_who_has_which_role() -> None:
    assert JOINED.known == {"me": UTDRole.HOST, "ana": UTDRole.AUDIENCE, "adam": UTDRole.ADMIN}


def test_metadata_that_changes_or_names_no_known_role_counts() -> None:
    promoted = after(e.ParticipantMetadataChanged("ana", with_role("admin")))
    assert promoted.known["ana"] is UTDRole.ADMIN
    for metadata in ("", "{}", '{"role": 5}', with_role("wizard"), '{"role": ["host"]}'):
        assert "ana" not in after(e.ParticipantMetadataChanged("ana", metadata)).known
    assert after(e.ParticipantMetadataChanged("nobody", with_role("host"))) == JOINED


def test_a_push_moves_nobody_and_asks_once() -> None:
    hinted = after(RoleHinted("ana", UTDRole.HOST), RoleHinted("ana", UTDRole.HOST))
    assert hinted.known == JOINED.known
    asking, questions = rules.follow_up(hinted)
    assert questions == (FetchRole("ana", JOINED.generation),)
    assert rules.follow_up(after(RoleHinted("adam", None), roles=asking))[1] == ()
    assert after(RoleHinted("ana", UTDRole.AUDIENCE), RoleHinted("ghost", None)) == JOINED


def test_the_engines_answer_counts_unless_metadata_came_meanwhile() -> None:
    asking, _ = rules.follow_up(after(RoleHinted("ana", UTDRole.ADMIN)))
    answer = RoleFetched("ana", UTDRole.ADMIN, JOINED.generation)
    answered = after(answer, roles=asking)
    assert (answered.known["ana"], answered.asked) == (UTDRole.ADMIN, None)
    late = after(e.ParticipantMetadataChanged("ana", with_role("guest")), answer, roles=asking)
    assert (late.known["ana"], late.asked) == (UTDRole.GUEST, None)
    others = after(e.ParticipantMetadataChanged("adam", with_role("guest")), answer, roles=asking)
    assert others.known["ana"] is UTDRole.ADMIN
    failed = after(RoleNotFetched("ana"), roles=asking)
    assert (failed.known["ana"], failed.asked) == (UTDRole.AUDIENCE, None)


def test_a_push_that_the_engine_denies_is_counted() -> None:
    asking, _ = rules.follow_up(after(RoleHinted("ana", UTDRole.HOST)))
    denied = after(RoleFetched("ana", UTDRole.AUDIENCE, JOINED.generation), roles=asking)
    assert (denied.known, denied.disproved) == (JOINED.known, 1)
    assert rules.forgotten(denied).disproved == after(REJOIN, roles=denied).disproved == 1


def test_a_flood_of_hints_is_bounded() -> None:
    people = tuple(person(f"u{n}", "audience") for n in range(99))
    roster = from_snapshot(e.RoomSnapshot("r", LocalParticipant("me"), remotes=people))
    hints = (RoleHinted(who.identity, UTDRole.HOST) for who in people)
    assert len(after(*hints, roster=roster).wanted) == MAX_WANTED


def test_who_leaves_is_forgotten_unless_the_connection_is_being_restored() -> None:
    gone = from_snapshot(e.RoomSnapshot("r", SNAPSHOT.local, remotes=SNAPSHOT.remotes[1:]))
    assert "ana" not in after(e.ParticipantDisconnected("ana"), roster=gone).known
    assert "ana" in after(e.ParticipantDisconnected("ana")).known


def test_a_reconnect_replaces_everything_and_makes_answers_late() -> None:
    asking, _ = rules.follow_up(after(RoleHinted("ana", UTDRole.ADMIN)))
    back = after(e.Reconnected(SNAPSHOT), roles=asking)
    answer = RoleFetched("ana", UTDRole.ADMIN, JOINED.generation)
    assert after(answer, roles=back).known == JOINED.known
