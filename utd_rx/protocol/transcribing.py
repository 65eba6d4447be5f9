"""What is said in a room, as those who listen there write it down: turns.

Theory of operation. Each turn has an id among those of who tells it, so words of a known id take
the place of what was told before, and others begin a turn; of a final turn only what is final as
well and whole does, since what corrects it is, and what is late is not. A turn that is never said
to be final ends when the next one of that speaker begins, with its speaker, or with the connection.
Whose words they are is what who tells them says: the owner of the track they name, where that is
known when the turn begins, or else themselves. The rules never look at the text
(`protocol.redaction`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve, frozen

from utd_rx.models.events import ParticipantDisconnected, TranscriptionReceived
from utd_rx.models.transcript import TranscriptTurn
from utd_rx.protocol.facts.words import WordsTranscribed
from utd_rx.protocol.roster import Roster

MAX_SPOKEN: Final = 500
"""Turns that are kept, as of a voice agent; older ones are forgotten."""

MAX_WORDS: Final = 16_384
"""Characters of a turn, cut before the rules hear of it."""

MAX_LABEL: Final = 256
"""Characters of a turn's id, and of what is said about its track and language; likewise."""

MAX_SEGMENTS: Final = 64
"""Pieces that one packet of the older kind has; likewise."""


@frozen
class RoomTranscript:
    """Turns in the order they began."""

    turns: tuple[TranscriptTurn, ...] = ()


def step(transcript: RoomTranscript, fact: object, roster: Roster) -> RoomTranscript:
    """Return the transcript after `fact`; total."""
    match fact:
        case WordsTranscribed():
            words = TranscriptTurn(
                fact.id,
                None,
                fact.text,
                fact.is_final,
                fact.was_cut,
                fact.told_by,
                fact.track_sid,
                fact.language,
            )
            speaker = _owner(roster, fact.track_sid) or fact.told_by
            return _said(transcript, words, speaker)
        case TranscriptionReceived(speaker=speaker, track_sid=sid, segments=segments):
            for one in segments:
                words = TranscriptTurn(
                    one.id,
                    None,
                    one.text,
                    one.is_final,
                    track_sid=sid,
                    language=one.language,
                )
                transcript = _said(transcript, words, speaker)
            return transcript
        case ParticipantDisconnected(identity=identity):
            return _over(transcript, lambda turn: identity in (turn.speaker, turn.told_by))
    return transcript


def disconnected(transcript: RoomTranscript) -> RoomTranscript:
    """Return the transcript of a connection that is over: what was said stays."""
    return _over(transcript, lambda _: True)


def _said(transcript: RoomTranscript, words: TranscriptTurn, speaker: str | None) -> RoomTranscript:
    """Return the transcript with the words of a turn, whose speaker they do not say."""
    turns, key = transcript.turns, (words.told_by, words.id)
    for at in range(len(turns) - 1, -1, -1):
        known = turns[at]
        if (known.told_by, known.id) == key:
            if known.is_final and (words.was_cut or not words.is_final):
                return transcript
            after = evolve(
                known,
                text=words.text or known.text,
                is_final=known.is_final or words.is_final,
                was_cut=words.was_cut,
                language=words.language or known.language,
            )
            return evolve(transcript, turns=(*turns[:at], after, *turns[at + 1 :]))
    if not words.text:
        return transcript
    teller = words.told_by
    before = _over(
        transcript, lambda turn: (turn.told_by, turn.speaker) == (teller, speaker), was_cut=False
    )
    begun = evolve(words, speaker=speaker)
    return evolve(transcript, turns=(*before.turns, begun)[-MAX_SPOKEN:])


def _over(
    transcript: RoomTranscript,
    is_of: Callable[[TranscriptTurn], bool],
    *,
    was_cut: bool = True,
) -> RoomTranscript:
    """Return the transcript in which turns that are not final are over."""
    if not any(not turn.is_final and is_of(turn) for turn in transcript.turns):
        return transcript
    turns = tuple(
        turn if turn.is_final or not is_of(turn) else evolve(turn, is_final=True, was_cut=was_cut)
        for turn in transcript.turns
    )
    return evolve(transcript, turns=turns)


def _owner(roster: Roster, track_sid: str) -> str | None:
    if not track_sid:
        return None
    everybody = (*((roster.local,) if roster.local is not None else ()), *roster.participants)
    owners = (who.identity for who in everybody for one in who.tracks if one.sid == track_sid)
    return next(owners, None)
