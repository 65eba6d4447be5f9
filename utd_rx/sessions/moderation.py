"""What the rules ask the engine about people, and the list of bans."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBan
from utd_rx.models.role import UTDRole
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol import bans as rules
from utd_rx.protocol.facts import people as facts
from utd_rx.protocol.promises import HasRole
from utd_rx.protocol.waiting import is_clash
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner


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
        for page in range(1, rules.MAX_PAGES + 1):
            bans = await self._engine.bans(page=page, per_page=rules.PER_PAGE)
            found += rules.concerning(bans, self._runner.room_name)
            if rules.is_last(bans):
                break
        return tuple(found)

    async def set_role(self, identity: str, role: UTDRole | str) -> None:
        """Give a role; who has it already, as the engine says, is given none."""
        call = self._engine.set_role  # which refuses what is no role, before it is promised
        try:
            await self._runner.ask(lambda _: HasRole(identity, UTDRole(role)), call, identity, role)
        except UTDStreamException as error:
            if not is_clash(error):
                raise
            if await self._engine.get_role(self._runner.room_name, identity) is not UTDRole(role):
                raise

    async def _fetch_role(self, effect: facts.FetchRole) -> None:
        try:
            role = await self._engine.get_role(self._runner.room_name, effect.identity)
        except UTDStreamException:
            self._runner.offer(facts.RoleNotFetched(effect.identity))
        else:
            self._runner.offer(facts.RoleFetched(effect.identity, role, effect.generation))

    async def _ask_ban(self, effect: facts.AskBan) -> None:
        """Ask the engine for something every member may have: it says why it refuses."""
        refusal: UTDStreamException | None = None
        try:
            await self._engine.get_role(self._runner.room_name, self._runner.session.identity)
        except UTDStreamException as error:
            refusal = error
        self._runner.offer(facts.BanAnswered(effect.epoch, rules.is_banned_by(refusal)))
