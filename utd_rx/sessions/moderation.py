"""What the rules ask the engine about people, and the list of bans."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBan
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol.facts import people as facts
from utd_rx.sessions.runner import Handlers, Runner

BANS_PER_PAGE: Final = 100
MAX_BAN_PAGES: Final = 100


@frozen(eq=False)
class Moderation:
    _runner: Runner[Any]
    _engine: EnginePort

    @property
    def handlers(self) -> Handlers:
        return {facts.FetchRole: self._fetch_role, facts.AskBan: self._ask_ban}

    async def bans(self) -> tuple[UTDBan, ...]:
        """Return the active bans that concern this room, of all pages."""
        self._runner.require_joined()
        found: list[UTDBan] = []
        room = self._runner.room_name
        for page in range(1, MAX_BAN_PAGES + 1):
            bans = await self._engine.bans(page=page, per_page=BANS_PER_PAGE)
            found += [ban for ban in bans if ban.room_name in (None, room)]
            if len(bans) < BANS_PER_PAGE:
                break
        return tuple(found)

    async def _fetch_role(self, effect: facts.FetchRole) -> None:
        try:
            role = await self._engine.get_role(self._runner.room_name, effect.identity)
        except UTDStreamException:
            self._runner.offer(facts.RoleNotFetched(effect.identity))
        else:
            self._runner.offer(facts.RoleFetched(effect.identity, role, effect.generation))

    async def _ask_ban(self, effect: facts.AskBan) -> None:
        """Ask the engine for something every member may have: it says why it refuses."""
        is_banned: bool | None = False
        try:
            await self._engine.get_role(self._runner.room_name, self._runner.session.identity)
        except UTDStreamException as error:
            # Only what the engine itself refused is a word about the ban.
            is_word = error.status_code is not None and error.status_code < 500
            is_banned = error.is_banned if is_word else None
        self._runner.offer(facts.BanAnswered(effect.epoch, is_banned))
