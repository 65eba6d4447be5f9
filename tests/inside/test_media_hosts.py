"""Where a program of an app's shares its process: kernels of Jupyter, workers of pytest."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.inside.media_house import APP, AT_LAST, IN_TIME, MediaHouse, media_house
from tests.inside.programs import PATIENCE, ROOT, Program
from tests.rtc.bench import token
from tests.support.processes import descendants, kill_all

pytestmark = pytest.mark.embedded

WORKERS = 2

SUITE = """
import json, os
from pathlib import Path
import pytest
from utd_rx import ToneSource, open_room
from tests.support.processes import descendants

URL, TOKENS = {url!r}, {tokens!r}

@pytest.mark.parametrize("number", range(len(TOKENS)))
async def test_joins(number):
    async with open_room(URL, TOKENS[number], microphone=ToneSource(440)) as room:
        await room.set_microphone(True)
        Path(str(number)).write_text(json.dumps(descendants(os.getpid())))
        if number == 0:
            os._exit(1)  # as a native crash in a worker
"""


@pytest.fixture(
    params=[
        pytest.param(IN_TIME, marks=pytest.mark.realtime, id="in time"),
        pytest.param(AT_LAST, marks=pytest.mark.long, id="at last"),  # however busy a machine is
    ]
)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[MediaHouse]:
    async with media_house(request.param) as house:
        yield house


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_kernel_that_is_restarted_is_gone_from_the_room(
    house: MediaHouse, how: str, tmp_path: Path
) -> None:
    minted = token(house.sfu, APP)
    # A kernel does not look for modules where it was started.
    places = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path)}
    kernels = await Program.start(
        "media_kernel", house.sfu.url, minted, UTD_RX_MEDIA="process", **places
    )
    try:
        kernel = await kernels.hear()
        await house.there()
        children = descendants(kernel)
        assert children
        await kernels.say(how)
        # Restarted in order, a kernel is asked to end, and takes its time for it.
        await house.gone(later=0 if how == "kill" else 2)
        assert await kernels.hear() != kernel
        await house.all_ended(children)
        await kernels.say("end")
        assert (await kernels.end())[0] == 0
    finally:
        kill_all([*descendants(kernels.process.pid)])
        await kernels.kill()


async def test_workers_of_pytest_leave_nothing_also_where_one_dies(
    house: MediaHouse, tmp_path: Path
) -> None:
    tokens = [token(house.sfu, f"{APP}-{number}") for number in range(4)]
    (tmp_path / "test_joining.py").write_text(SUITE.format(url=house.sfu.url, tokens=tokens))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    options = ["-p", "xdist", "-p", "no:cacheprovider", "-n", str(WORKERS), "-q"]
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *options, "test_joining.py"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "UTD_RX_MEDIA": "process"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await run.communicate()
    assert b"3 passed" in said, said.decode()
    assert b"1 failed" in said  # the one whose worker died
    for number in range(len(tokens)):
        children = json.loads((tmp_path / str(number)).read_text())
        assert children
        await house.all_ended(children)
        await house.gone(f"{APP}-{number}")
