"""What is written down in a room becomes turns: whose, in which order, and when they are over."""

from __future__ import annotations

from utd_rx.models.events import ParticipantDisconnected, TranscriptionReceived
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant, TrackPublication
from utd_rx.models.transcript import TranscriptSegment, TranscriptTurn
from utd_rx.protocol import transcribing as rules
from utd_rx.protocol.facts.words import WordsTranscribed
from utd_rx.protocol.roster import Roster
from utd_rx.protocol.transcribing import MAX_SPOKEN, RoomTranscript

ROSTER = Roster(
    LocalParticipant("me", tracks=(TrackPublication("TR_me"),)),
    FrozenMap({"ana": RemoteParticipant("ana", tracks=(TrackPublication("TR_ana"),))}),
)


def after(*facts: object) -> RoomTranscript:
    transcript = RoomTranscript()
    for fact in facts:
        transcript = rules.step(transcript, fact, ROSTER)
    return transcript


def words(
    id_: str, text: str = "", *, by: str = "agent", track: str = "", is_final: bool = False
) -> WordsTranscribed:
    return WordsTranscribed(by, id_, text, is_final, track_sid=track)


def told(transcript: RoomTranscript) -> list[tuple[str | None, str, bool, bool]]:
    return [(turn.speaker, turn.text, turn.is_final, turn.was_cut) for turn in transcript.turns]


def test_words_of_a_turn_take_the_place_of_what_was_told_before() -> None:
    grown = after(words("1", "good"), words("1", "good morning"), words("1", is_final=True))
    assert told(grown) == [("agent", "good morning", True, False)]
    corrected = rules.step(grown, words("1", "Good morning.", is_final=True), ROSTER)
    assert told(corrected) == [("agent", "Good morning.", True, False)]


def test_what_is_late_or_was_cut_changes_no_final_turn() -> None:
    final = after(words("1", "Good"), words("1", "Good morning, Ana.", is_final=True))
    for late in (words("1", "Good morning"), WordsTranscribed("agent", "1", "Go", True, True)):
        assert rules.step(final, late, ROSTER) is final
    packet = TranscriptionReceived("ana", "TR_ana", (TranscriptSegment("1", "hallo", True),))
    heard = after(packet)
    late_packet = TranscriptionReceived("ana", "TR_ana", (TranscriptSegment("1", "hal"),))
    assert rules.step(heard, late_packet, ROSTER) is heard


def test_whose_words_they_are_says_the_track_and_who_wrote_them_down_stays_known() -> None:
    transcript = after(
        words("1", "hi", track="TR_ana"),
        words("2", "hello", track="TR_me"),
        words("3", "what?", track="TR_of_nobody"),
        words("1", "hi!", track="TR_me"),
    )
    assert [turn.speaker for turn in transcript.turns] == ["ana", "me", "agent"]
    assert {turn.told_by for turn in transcript.turns} == {"agent"}
    assert transcript.turns[0].text == "hi!"


def test_nobody_changes_a_turn_that_another_one_tells() -> None:
    transcript = after(words("1", "true"), words("1", "forged", by="eve"))
    assert [(turn.told_by, turn.text) for turn in transcript.turns] == [
        ("agent", "true"),
        ("eve", "forged"),
    ]


def test_who_claims_words_of_another_is_named_beside_them_and_ends_no_turn_of_an_agents() -> None:
    ana = "TR_ana"
    transcript = after(words("1", "true", track=ana), words("1", "forged", by="eve", track=ana))
    assert [(turn.told_by, turn.speaker, turn.is_final) for turn in transcript.turns] == [
        ("agent", "ana", False),
        ("eve", "ana", False),
    ]


def test_a_turn_without_a_final_ends_with_the_next_one_of_its_speaker() -> None:
    transcript = after(words("1", "one"), words("2", "two", track="TR_ana"), words("3", "three"))
    assert [turn.is_final for turn in transcript.turns] == [True, False, False]
    assert not any(turn.was_cut for turn in transcript.turns)


def test_turns_are_cut_with_their_speaker_and_with_the_connection() -> None:
    begun = (words("1", "one"), words("2", "two", track="TR_ana"), words("3", "x", by="ben"))
    left = after(*begun, ParticipantDisconnected("ana"))
    assert [turn.was_cut for turn in left.turns] == [False, True, False]
    over = rules.disconnected(left)
    assert all(turn.is_final and turn.was_cut for turn in over.turns)
    assert rules.disconnected(over) is over


def test_packets_of_the_older_kind_are_turns_of_which_nobody_is_known_to_tell() -> None:
    segments = (TranscriptSegment("1", "hal", language="de"), TranscriptSegment("2", "ja", True))
    transcript = after(
        TranscriptionReceived("ana", "TR_ana", segments),
        TranscriptionReceived("ana", "TR_ana", (TranscriptSegment("1", "hallo", True),)),
    )
    first, second = transcript.turns
    assert first == TranscriptTurn("1", "ana", "hallo", True, track_sid="TR_ana", language="de")
    assert (second.text, second.told_by) == ("ja", None)


def test_the_last_turns_are_kept_and_what_says_nothing_begins_none() -> None:
    transcript = after(*(words(str(n), f"t{n}") for n in range(MAX_SPOKEN + 3)))
    assert len(transcript.turns) == MAX_SPOKEN
    assert transcript.turns[0].text == "t3"
    assert after(words("1", is_final=True)).turns == ()
    before = after(words("1", "a"))
    assert rules.step(before, "anything else", ROSTER) is before
