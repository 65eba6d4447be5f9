"""A voice agent in an audio room: it sits down, hears everybody but itself, is heard by everybody,
and falls silent when somebody speaks.

    python examples/agent_in_room.py      on a local engine, where somebody talks to a local agent
"""

from __future__ import annotations

import asyncio

from utd_rx import AgentStatus, AtomsAgentSession, UTDStreamClient, WavSource
from utd_rx.audio import speech_path
from utd_rx.engine import LocalAgent, LocalEngine


async def agent_in_room(
    client: UTDStreamClient, room_name: str, seat: int, *, api_key: str, agent_id: str, url: str
) -> None:
    """Let an agent take a seat and talk to whoever is in the room, until it hangs up."""
    async with (
        await client.join_audio_room("agent", room_name) as room,
        AtomsAgentSession(api_key, agent_id, base_url=url, microphone=room.voices()) as agent,
    ):
        agent.transcript.subscribe(lambda turns: print(*(turn.text for turn in turns[-1:])))
        await room.switch_microphone(agent.voice)
        await room.take_seat(seat)
        await agent.start()
        await agent.status.until(AgentStatus.CLOSED)


async def main() -> None:
    """Let somebody say something to an agent that says it back."""
    async with LocalEngine() as engine, LocalAgent() as local:
        client = UTDStreamClient(**engine.credentials, microphone=WavSource(speech_path()))
        key, url = local.api_key, local.base_url
        host = client.join_audio_room("sara", "lobby", as_host=True, seat_count=4)
        async with client, await host as sara:
            agent = asyncio.create_task(
                agent_in_room(client, "lobby", 2, api_key=key, agent_id="echo", url=url)
            )
            await sara.remote_participants.until(lambda them: any(who.tracks for who in them))
            await sara.take_seat(1)
            await asyncio.wait([agent], timeout=10)
            agent.cancel()
            await asyncio.wait([agent])


if __name__ == "__main__":
    asyncio.run(main())
