"""A client on LiveKit's own package for Node: sound, a picture and data both ways with Python."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Final

import pytest
from livekit import rtc

from tests.browser.conftest import HERE, require
from tests.browser.peer import PYTHON_TONE, joined
from tests.browser.test_browser import token
from tests.browser.test_clients import is_of, showing
from tests.support.sfu import RunningSfu

pytestmark = [pytest.mark.browser, pytest.mark.realtime]

NODE_TONE: Final = 770.0  # node_client.mjs


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_node_hears_sees_and_reaches_python(sfu: RunningSfu) -> None:
    node, package = shutil.which("node"), HERE / "node_modules" / "@livekit" / "rtc-node"
    hint = "install it: npm ci --prefix tests/browser"
    require(node and package.exists(), f"@livekit/rtc-node or Node not found; {hint}")
    async with joined(sfu.url, token(sfu, "ann")) as ann, showing(ann):
        process = await asyncio.create_subprocess_exec(
            *(str(node), str(HERE / "node_client.mjs"), sfu.url, token(sfu, "bob")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            sound, _, _ = await ann.seen("track_subscribed", is_of(rtc.TrackKind.KIND_AUDIO))
            assert await ann.pitch(sound) == pytest.approx(NODE_TONE, abs=10)
            picture, _, _ = await ann.seen("track_subscribed", is_of(rtc.TrackKind.KIND_VIDEO))
            await ann.sees(picture, 320)
            await ann.room.local_participant.publish_data("from Python")
            process.stdin.write(b"now\n")
            (packet,) = await ann.seen("data_received")
            assert packet.data == b"from Node"
            said: dict[str, object] = {}
            async with asyncio.timeout(20):
                while not {"pitch", "width", "text"} <= said.keys():
                    line = await process.stdout.readline()
                    assert line, "Node's client ended"
                    said |= json.loads(line) if line.startswith(b"{") else {}
        finally:
            process.kill()
            await process.wait()
    assert said["pitch"] == pytest.approx(PYTHON_TONE, abs=15)
    assert (said["width"], said["text"]) == (640, "from Python")
