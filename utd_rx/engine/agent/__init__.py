"""A voice agent to develop against: it speaks the Atoms protocol (docs/agent.md) on loopback."""

from __future__ import annotations

from utd_rx.engine.agent.call import AgentCall
from utd_rx.engine.agent.echo import EchoAgent
from utd_rx.engine.agent.host import AgentHost
from utd_rx.engine.agent.script import ScriptedAgent
from utd_rx.engine.agent.server import LocalAgent

__all__ = ["AgentCall", "AgentHost", "EchoAgent", "LocalAgent", "ScriptedAgent"]
