"""Who is connected: replaced sockets, presence with its grace, bounds; and all of it as a machine.

The machine knows every socket there ever was. Ends come late, twice, and for sockets long gone.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from utd_rx.engine.rules.signal_book import (
    MAX_DEVICES,
    MAX_SOCKETS,
    OFFLINE_SECONDS,
    Effects,
    Seen,
    Shut,
    SignalBook,
)
from utd_rx.engine.rules.signal_socket import Close

T0: Final = 100.0
ONLINE: Final = Seen("mona", True)
OFFLINE: Final = Seen("mona", False)


def opened(*devices: str) -> SignalBook:
    """A book with a socket of Mona's on each device, numbered from 1."""
    book = SignalBook()
    for number, device in enumerate(devices, 1):
        book, _ = book.opened("mona", device, number)
    return book


def test_the_first_socket_brings_online_and_no_other() -> None:
    book, effects = SignalBook().opened("mona", "phone", 1)
    assert effects == (ONLINE,)
    book, effects = book.opened("mona", "laptop", 2)
    assert effects == ()
    assert dict(book.devices("mona")) == {"phone": 1, "laptop": 2}


def test_the_same_device_replaces_its_socket_whose_end_then_means_nothing() -> None:
    book, effects = opened("phone").opened("mona", "phone", 2)
    assert effects == (Shut(1, Close.REPLACED),)
    assert book.ended("mona", "phone", 1, T0) is book
    assert dict(book.devices("mona")) == {"phone": 2}
    assert book.count == 1


def test_the_same_device_of_somebody_else_is_another() -> None:
    book, effects = opened("phone").opened("omar", "phone", 2)
    assert effects == (Seen("omar", True),)
    assert (book.devices("mona")["phone"], book.devices("omar")["phone"]) == (1, 2)


def test_offline_is_five_seconds_after_the_last_socket() -> None:
    book = opened("phone", "laptop").ended("mona", "phone", 1, T0)
    assert book.due_at is None
    book = book.ended("mona", "laptop", 2, T0 + 1)
    assert book.due_at == T0 + 1 + OFFLINE_SECONDS
    assert book.time_passed(T0 + 5.999) == (book, ())
    assert book.time_passed(T0 + 6.0) == (SignalBook(), (OFFLINE,))


def test_who_is_back_in_time_was_never_away() -> None:
    book = opened("phone").ended("mona", "phone", 1, T0)
    book, effects = book.opened("mona", "phone", 2)
    assert (effects, book.due_at) == ((), None)
    assert book.time_passed(T0 + 60) == (book, ())


def test_a_ban_shuts_every_device() -> None:
    book, effects = opened("phone", "laptop").evicted("mona", Close.BANNED, T0)
    assert effects == (Shut(1, Close.BANNED), Shut(2, Close.BANNED))
    assert not book.devices("mona")
    assert book.time_passed(T0 + OFFLINE_SECONDS)[1] == (OFFLINE,)


def test_a_ban_of_somebody_without_a_socket_does_nothing() -> None:
    book = opened("phone")
    assert book.evicted("omar", Close.BANNED, T0) == (book, ())


def test_one_device_too_many_shuts_the_oldest() -> None:
    book = opened(*map(str, range(MAX_DEVICES)))
    book, effects = book.opened("mona", "0", 100)  # not the oldest any more
    assert effects == (Shut(1, Close.REPLACED),)
    book, effects = book.opened("mona", "one more", 101)
    assert effects == (Shut(2, Close.REPLACED),)
    assert len(book.devices("mona")) == book.count == MAX_DEVICES


def test_when_there_are_too_many_nobody_new_is_taken_but_a_device_may_come_anew() -> None:
    book = SignalBook()
    for number in range(MAX_SOCKETS):
        book, _ = book.opened(f"user {number}", "phone", number)
    assert book.opened("mona", "phone", -1) == (book, (Shut(-1, Close.FULL),))
    book, effects = book.opened("user 7", "phone", -2)
    assert effects == (Shut(7, Close.REPLACED),)
    book = book.ended("user 8", "phone", 8, T0)
    assert book.opened("mona", "phone", -3)[1] == (ONLINE,)


WHO: Final = st.sampled_from(["mona", "omar", "sara"])
DEVICES: Final = st.sampled_from([f"device {number}" for number in range(MAX_DEVICES + 2)])


class BookMachine(RuleBasedStateMachine):
    """Beside the book, what everybody outside could know: who opened what, and was told what."""

    def __init__(self) -> None:
        super().__init__()
        self.book = SignalBook()
        self.now = T0
        self.sockets: list[tuple[str, str]] = []
        self.over: set[int] = set()
        self.is_online: dict[str, bool] = {}
        self.alone_since: dict[str, float] = {}

    def take(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Shut(socket):
                    assert socket not in self.over
                    self.over.add(socket)
                case Seen(identity, is_online):
                    assert self.is_online.get(identity, False) is not is_online
                    self.is_online[identity] = is_online

    def live(self, identity: str) -> dict[str, int]:
        """The newest socket of each device that nobody shut or ended."""
        return {
            device: number
            for number, (who, device) in enumerate(self.sockets)
            if who == identity and number not in self.over
        }

    @rule(identity=WHO, device=DEVICES)
    def open(self, identity: str, device: str) -> None:
        self.sockets.append((identity, device))
        self.book, effects = self.book.opened(identity, device, len(self.sockets) - 1)
        self.take(effects)
        self.alone_since.pop(identity, None)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.sockets) - 1))
        identity, device = self.sockets[number]
        was_there = bool(self.live(identity))
        self.book = self.book.ended(identity, device, number, self.now)
        self.over.add(number)
        self.note_absence(identity, was_there=was_there)

    @rule(identity=WHO)
    def ban(self, identity: str) -> None:
        was_there = bool(self.live(identity))
        self.book, effects = self.book.evicted(identity, Close.BANNED, self.now)
        self.take(effects)
        assert not self.live(identity)
        self.note_absence(identity, was_there=was_there)

    def note_absence(self, identity: str, *, was_there: bool) -> None:
        if was_there and not self.live(identity):
            self.alone_since[identity] = self.now

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.5, 4.999, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        """Time passes as the hub lets it: from one deadline to the next."""
        until = self.now + seconds
        while (due := self.book.due_at) is not None and due <= until:
            self.now = max(self.now, due)
            self.book, effects = self.book.time_passed(self.now)
            self.take(effects)
        self.now = until

    @invariant()
    def the_book_has_the_newest_socket_of_each_device(self) -> None:
        for identity in ("mona", "omar", "sara"):
            assert dict(self.book.devices(identity)) == self.live(identity)
            assert len(self.live(identity)) <= MAX_DEVICES
        assert self.book.count == sum(len(one) for one in self.book.sockets.values())

    @invariant()
    def online_is_who_has_a_socket_or_had_one_just_now(self) -> None:
        for identity in ("mona", "omar", "sara"):
            since = self.alone_since.get(identity)
            is_there = bool(self.live(identity))
            expected = is_there or (since is not None and self.now < since + OFFLINE_SECONDS)
            assert self.is_online.get(identity, False) is expected


TestBookMachine = BookMachine.TestCase
