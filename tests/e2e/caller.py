"""A user in a process of its own, who calls somebody or is called, until it is killed."""

from __future__ import annotations

import asyncio
import sys

from utd_rx import ToneSource, UTDCallStatus, UTDStreamClient, UTDStreamType


async def main(base_url: str, app_id: str, app_key: str, identity: str, callee: str = "") -> None:
    async with UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url, microphone=ToneSource()
    ) as client:
        await client.authenticate(identity)
        async with client.call_session(UTDStreamType.AUDIO_CALL) as session:
            if callee:
                await session.start(callee)
                print("dialled", flush=True)
            else:
                print("signed in", flush=True)
                [call] = await client.ringing_calls.until(lambda ringing: len(ringing) == 1)
                await session.accept(call.call_id)
            await session.status.until(UTDCallStatus.ACTIVE)
            print("active", flush=True)
            await session.status.until(lambda status: status is not UTDCallStatus.ACTIVE)
            print(f"ended {session.end_reason.value}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
