"""Answer a client's offer: what it publishes goes live or ends, what it receives is bound."""

from __future__ import annotations

from attrs import frozen

from utd_rx.engine.sfu.answers import AnswerSection, LocalTransport, write_answer
from utd_rx.engine.sfu.publications import Publication, Publications
from utd_rx.engine.sfu.sdp import SdpOffer, Section
from utd_rx.engine.sfu.subscriptions import Subscriptions


@frozen
class Answered:
    """The answer, and which tracks are gone or went live with it."""

    sdp: str
    gone: tuple[Publication, ...]
    live: tuple[Publication, ...]


def answer_offer(
    offer: SdpOffer,
    local: LocalTransport,
    version: int,
    publications: Publications,
    subscriptions: Subscriptions | None,
    now: float,
) -> Answered:
    """Take an offer and answer it; without `subscriptions`, nothing is received on it."""
    mids = {section.mid for section in offer.sections}
    gone = (*publications.stopped(offer.sections), *publications.keep(mids))
    if subscriptions is not None:
        subscriptions.keep(mids)
    for publication in gone:
        publications.remove(publication)
    live: list[Publication] = []

    def answer(section: Section) -> AnswerSection:
        if section.kind == "application":
            return AnswerSection(section)
        if section.is_sending or publications.owns(section.mid):
            answered, publication = publications.answer(section, now)
            live.extend([publication] if publication is not None else [])
            return answered
        if subscriptions is None:
            return AnswerSection(section)
        return subscriptions.answer(section, now)

    sections = [answer(section) for section in offer.sections]
    text = write_answer(sections, local, version, is_mixed=offer.is_mixed)
    return Answered(text, gone, tuple(live))
