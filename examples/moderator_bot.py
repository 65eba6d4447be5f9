"""An app: who uses a forbidden word in the chat is warned, then kicked, then banned."""

from __future__ import annotations

from collections import Counter

from utd_rx import ChatMessage, UTDAudioRoomSession, UTDRole

WARNING = "warning"
"""The topic of the data message that warns somebody."""


class ModeratorBot:
    """Keeps a chat civil; hosts and admins say what they like.

    Args:
        room: Joined as its host.
        words: Those that nobody may use.
    """

    def __init__(self, room: UTDAudioRoomSession, words: frozenset[str]) -> None:
        self.room = room
        self.words = words
        self._strikes: Counter[str] = Counter()
        self._judged: set[tuple[str | None, str]] = set()

    async def run(self) -> None:
        """Moderate until the room is closed."""
        async for history in self.room.chat_history.changes():
            for message in history:
                key = (message.sender, message.id)
                if key not in self._judged:
                    self._judged.add(key)
                    await self._judge(message)

    async def _judge(self, message: ChatMessage) -> None:
        sender = message.sender
        if sender is None or not self.words & set(message.text.lower().split()):
            return
        if self.room.roles.value.get(sender) in (UTDRole.HOST, UTDRole.ADMIN):
            return
        self._strikes[sender] += 1
        await self._punish(sender, self._strikes[sender])

    async def _punish(self, who: str, strikes: int) -> None:
        if strikes == 1:
            await self.room.send_data(b"mind your words", topic=WARNING, to=[who])
        elif strikes == 2:
            await self.room.kick(who)
        else:
            await self.room.ban(who, reason="language")
