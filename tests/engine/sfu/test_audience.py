"""Who may receive what is what the publisher said last, by sid or by identity."""

from __future__ import annotations

from livekit.protocol import rtc

from utd_rx.engine.sfu.audience import EVERYBODY, audience


def test_everybody_may_until_something_else_is_said() -> None:
    assert EVERYBODY.may_receive("PA_1", "anna", "TR_1")
    assert audience(rtc.SubscriptionPermission(all_participants=True)) == EVERYBODY
    assert not audience(rtc.SubscriptionPermission()).may_receive("PA_1", "anna", "TR_1")


def test_who_is_named_by_sid_or_identity_may_receive_what_is_named() -> None:
    said = rtc.SubscriptionPermission(
        track_permissions=[
            rtc.TrackPermission(participant_sid="PA_1", track_sids=["TR_1"]),
            rtc.TrackPermission(participant_identity="anna", track_sids=["TR_2"]),
            rtc.TrackPermission(participant_identity="anna", track_sids=["TR_3"]),
            rtc.TrackPermission(participant_identity="ben", all_tracks=True),
            rtc.TrackPermission(participant_identity="ben", track_sids=["TR_1"]),
            rtc.TrackPermission(all_tracks=True),  # of nobody
        ]
    )
    found = audience(said)
    tracks = ("TR_1", "TR_2", "TR_3", "TR_4")
    who = {"anna": "PA_1", "ben": "PA_2", "carl": "PA_3"}
    may = {
        name: [one for one in tracks if found.may_receive(sid, name, one)]
        for name, sid in who.items()
    }
    assert may == {"anna": ["TR_1", "TR_2", "TR_3"], "ben": list(tracks), "carl": []}
