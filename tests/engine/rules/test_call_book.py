"""All calls: who may dial whom, what is told to whom, what is kept."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve

from utd_rx.engine.rules import call_book
from utd_rx.engine.rules.call_book import (
    DIALS,
    DIALS_SECONDS,
    KEPT_OF_CALLER,
    KEPT_SECONDS,
    CallBook,
    Changed,
    Dial,
    News,
)
from utd_rx.engine.rules.calls import QUIET_SECONDS, Deed
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType

T0: Final = 100.0
AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL


def wish(
    id_: str, caller: str, callee: str, device: str = "", type_: UTDStreamType = AUDIO
) -> Dial:
    told = UTDCall(
        id_, UTDCallStatus.INITIATING, type_, caller_identity=caller, callee_identity=callee
    )
    return Dial(told, caller, callee, device or f"{caller}-1")


def dial(
    book: CallBook,
    id_: str,
    caller: str,
    callee: str,
    device: str = "",
    type_: UTDStreamType = AUDIO,
) -> Changed:
    return book.dial(wish(id_, caller, callee, device, type_), T0)


def cause(book: CallBook, caller: str, callee: str, device: str = "") -> tuple[int, str | None]:
    with pytest.raises(Refusal) as caught:
        dial(book, "new", caller, callee, device)
    return caught.value.status, caught.value.cause


def do(book: CallBook, id_: str, deed: Deed, who: str, now: float = T0) -> Changed:
    return book.do(id_, deed, who, f"{who}-1", now)


def test_one_is_on_one_call_at_a_time() -> None:
    book = dial(CallBook(), "c", "sara", "mona").book
    assert cause(book, "sara", "omar") == (409, "caller_busy")
    assert cause(book, "mona", "omar") == (409, "caller_busy")
    assert cause(book, "omar", "sara") == (409, "callee_busy")
    assert cause(book, "omar", "mona") == (409, "callee_busy")
    assert cause(book, "omar", "omar") == (422, None)
    book = do(book, "c", Deed.END, "sara").book
    assert book.on == {}
    assert dial(book, "d", "omar", "mona").call.status is UTDCallStatus.INITIATING


@pytest.mark.parametrize("rings", [False, True])
def test_both_dial_one_call_survives(rings: bool) -> None:
    book = dial(CallBook(), "first", "sara", "mona", type_=VIDEO).book
    book = do(book, "first", Deed.RINGING, "mona").book if rings else book
    second = dial(book, "second", "mona", "sara", "mona-2")
    assert (second.call.id, second.call.status) == ("first", UTDCallStatus.ACTIVE)
    assert second.call.told.answered_by == "mona-2"
    assert second.call.told.type is VIDEO, "the first one's"
    assert set(second.book.live) == {"first"}
    assert second.serial == second.book.next_serial - 1
    again = dial(second.book, "third", "mona", "sara", "mona-2")
    assert (again.call.id, again.news) == ("first", ()), "its answer was lost"
    assert set(second.news) == {News("accepted", "sara"), News("accepted", "mona", "mona-2")}


def test_dialling_back_after_the_answer_is_busy() -> None:
    book = do(dial(CallBook(), "c", "sara", "mona").book, "c", Deed.ACCEPT, "mona").book
    assert cause(book, "mona", "sara", "mona-2") == (409, "caller_busy")


def test_who_did_not_hear_the_answer_gets_it_again() -> None:
    first = dial(CallBook(), "c", "sara", "mona")
    assert first.serial is not None
    again = dial(first.book, "d", "sara", "mona")
    assert (again.call.id, again.serial, again.news) == ("c", first.serial + 1, ())
    assert again.call.rings_until == first.call.rings_until
    answered = do(again.book, "c", Deed.ACCEPT, "mona").book
    assert dial(answered, "d", "sara", "mona").call.status is UTDCallStatus.ACTIVE
    assert cause(answered, "sara", "mona", "sara-2") == (409, "caller_busy"), "not its dial"
    with pytest.raises(Refusal):
        dial(answered, "d", "sara", "mona", type_=VIDEO)
    there = answered.joined("c", "sara", "PA_1", first.serial)
    assert there is not None
    assert cause(there, "sara", "mona") == (409, "caller_busy"), "it heard"


def test_three_in_a_circle_get_one_call() -> None:
    book = dial(CallBook(), "c", "a", "b").book
    assert cause(book, "b", "c") == (409, "caller_busy")
    assert cause(book, "c", "a") == (409, "callee_busy")


def test_who_is_told() -> None:
    first = dial(CallBook(), "c", "sara", "mona")
    assert first.news == (News("incoming", "mona"),)
    rings = do(first.book, "c", Deed.RINGING, "mona")
    assert rings.news == (News("ringing", "sara"),)
    assert do(rings.book, "c", Deed.RINGING, "mona").news == (), "it rings already"
    for deed, kind in ((Deed.REJECT, "rejected"), (Deed.BUSY, "busy"), (Deed.ACCEPT, "accepted")):
        news = do(rings.book, "c", deed, "mona").news
        assert set(news) == {News(kind, "sara"), News(kind, "mona", "mona-1")}
    ended = do(rings.book, "c", Deed.END, "sara")
    assert set(ended.news) == {News("ended", "mona"), News("ended", "sara", "sara-1")}
    assert do(ended.book, "c", Deed.END, "mona").news == (), "it is over already"
    missed = rings.book.time_passed("c", T0 + 30.0)
    assert missed is not None
    assert set(missed.news) == {News("missed", "sara"), News("missed", "mona")}


def test_only_the_device_in_the_call_comes_back() -> None:
    book = dial(CallBook(), "c", "sara", "mona").book
    assert book.join("c", "sara", "sara-1").serial == book.next_serial

    def refused(who: str, device: str) -> int:
        with pytest.raises(Refusal) as caught:
            book.join("c", who, device)
        return caught.value.status

    assert refused("sara", "sara-2") == 409
    assert refused("mona", "mona-1") == 409, "it has not answered"
    assert refused("eve", "eve-1") == 403
    book = do(book, "c", Deed.ACCEPT, "mona").book
    assert book.join("c", "mona", "mona-1").serial is not None
    assert refused("mona", "mona-2") == 409
    book = do(book, "c", Deed.END, "mona").book
    assert refused("mona", "mona-1") == 409


def ended(book: CallBook, id_: str, caller: str, now: float) -> CallBook:
    book = book.dial(wish(id_, caller, "mona"), now).book
    return do(book, id_, Deed.END, caller, now).book


def test_what_is_over_is_kept_for_an_hour() -> None:
    book = ended(ended(CallBook(), "a", "sara", T0), "b", "sara", T0 + 10.0)
    assert set(book.forget(T0 + KEPT_SECONDS - 0.1).over) == {"a", "b"}
    assert set(book.forget(T0 + KEPT_SECONDS).over) == {"b"}
    with pytest.raises(Refusal) as caught:
        book.forget(T0 + KEPT_SECONDS).find("a")
    assert caught.value.status == 404


def test_nobody_dials_the_calls_of_others_out_of_memory() -> None:
    book = ended(CallBook(), "theirs", "omar", T0)
    for number in range(KEPT_OF_CALLER + 5):
        book = ended(book, str(number), "sara", T0 + number * DIALS_SECONDS / DIALS)
    assert len(book.over) == 1 + KEPT_OF_CALLER
    assert {"theirs", str(KEPT_OF_CALLER + 4)} <= set(book.over)
    assert "0" not in book.over


def test_who_dials_and_hangs_up_over_and_over_has_to_wait() -> None:
    book = ended(ended(CallBook(), "first", "sara", T0), "theirs", "omar", T0 + 20.0)
    for number in range(DIALS - 1):
        book = ended(book, str(number), "sara", T0 + 30.0)
    with pytest.raises(Refusal) as caught:
        book.dial(wish("one too many", "sara", "mona"), T0 + 30.5)
    assert (caught.value.status, caught.value.retry_after) == (429, 30)
    now = T0 + DIALS_SECONDS
    assert book.dial(wish("later", "sara", "mona"), now).call.id == "later"
    assert book.dial(wish("another's", "omar", "mona"), T0 + 30.5).call.id == "another's"
    theirs = book.dial(wish("to her", "omar", "sara"), T0 + 30.5).book
    back = theirs.dial(wish("back", "sara", "omar"), T0 + 30.5)
    assert back.call.status is UTDCallStatus.ACTIVE, "who answers so dials nobody"


def test_what_is_quiet_is_looked_at() -> None:
    first = dial(CallBook(), "c", "sara", "mona")
    later = T0 + QUIET_SECONDS
    assert first.book.quiet(later) == (), "nobody is there who could have gone unseen"
    there = first.book.joined("c", "sara", "PA_1", first.serial)
    assert there is not None
    there = there.heard("c", T0 + 1.0)
    assert there.quiet(later) == ()
    assert there.quiet(later + 1.0) == ("c",)
    assert there.heard("c", later).quiet(later + 1.0) == ()
    assert there.left("c", "sara", "PA_1", T0).quiet(later + 1.0) == ()
    assert there.heard("unknown", later) == there


def test_only_so_many_are_kept_and_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_book, "KEPT", 3)
    monkeypatch.setattr(call_book, "MAX_LIVE", 2)
    book = CallBook()
    for number in range(5):
        book = ended(book, str(number), f"caller {number}", T0)
    assert list(book.over) == ["2", "3", "4"]
    book = dial(dial(book, "a", "a", "b").book, "b", "c", "d").book
    assert cause(book, "e", "f") == (429, None)


def test_the_call_of_who_is_banned_ends() -> None:
    book = dial(CallBook(), "c", "sara", "mona").book
    assert book.lost("omar", T0) is None
    changed = book.lost("mona", T0)
    assert changed is not None
    assert changed.call.status is UTDCallStatus.ENDED
    assert evolve(changed.book, over=book.over).live == {}
