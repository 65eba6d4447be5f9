"""Who may come in: the bans of one engine and the serials of its mints.

Both outlive the rooms they are about. What changes here changes between two awaits, never across
one, so it needs no lock.
"""

from __future__ import annotations

from utd_rx.engine.engine_clock import EngineClock, to_iso
from utd_rx.engine.metadata import MintedMetadata
from utd_rx.engine.rules import bans as ban_rules
from utd_rx.engine.rules import mints as mint_rules
from utd_rx.engine.rules.bans import Ban, BanList
from utd_rx.engine.rules.mints import Mints


class Gate:
    """The bans and the mint serials."""

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._bans = BanList()
        # Above every serial of an engine before this one, whose tokens are still good.
        self._mints = Mints(next_serial=int(clock.wall() * 1000))

    def refuse_banned(self, identity: str, room: str | None) -> None:
        """Refuse whoever is banned.

        Raises:
            Refusal: 403 with the code of a ban.
        """
        ban_rules.refuse_banned(self._bans, identity, room, self._clock.wall())

    def bans(self, room: str | None) -> tuple[Ban, ...]:
        """Return the active bans, newest first; only those of `room` when one is given."""
        return ban_rules.active(self._bans, self._clock.wall(), room=room)

    def ban(self, ban: Ban) -> Ban:
        """Add a ban under an id of its own."""
        self._bans, entry = ban_rules.add(self._bans, ban)
        return entry

    def unban(self, identity: str, room: str | None) -> int:
        """Lift a ban, all of them when `room` is None; returns how many there were."""
        self._bans, lifted = ban_rules.lift(self._bans, identity, room)
        return len(lifted)

    def next_serial(self) -> int:
        """Return the serial of a new token."""
        self._mints, serial = mint_rules.take_serial(self._mints)
        return serial

    def void_tokens(self, room: str, identity: str | None) -> None:
        """Make every token of `identity` for `room` worthless; None is everybody's."""
        self._mints = mint_rules.raise_floor(self._mints, room, identity, self._clock.monotonic())

    def is_unwelcome(self, room: str, identity: str, minted: MintedMetadata | None) -> bool:
        """Whether somebody who connected must be removed.

        A refreshed token carries the metadata of the first one, so its serial too. Without a
        serial it was made with LiveKit's own key, whose holder rules the SFU anyway.
        """
        if ban_rules.find(self._bans, identity, room, self._clock.wall()) is not None:
            return True
        return minted is not None and mint_rules.is_stale(
            self._mints, room, identity, minted.serial
        )


def banned_push(ban: Ban) -> dict[str, object]:
    """Return the payload of `_banned` (facts/utd-engine.md §3.8)."""
    fields = {
        "identity": ban.identity,
        "room_name": ban.room,
        "reason": ban.reason,
        "expires_at": None if ban.expires_at is None else to_iso(ban.expires_at),
    }
    return {key: value for key, value in fields.items() if value is not None}
