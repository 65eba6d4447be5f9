"""A call goes through the proxy that holds for it, and who refused it is told."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import frozen
from yarl import URL

from tests.rest.conftest import APP_ID, APP_KEY, HandClock
from tests.rest.engines import ScriptedEngine, reply, scripted_engine
from tests.support.certificate import write_certificate
from tests.support.http_proxy import HttpProxy, http_proxy
from utd_rx import UTDStreamClient
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.rest import UTDApiClient

FAR = "https://engine.test"
LOGIN = "ann:hunter2"


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as running:
        yield running


@frozen
class Far:
    """An engine that is reached by its name over TLS, and how to believe it."""

    engine: ScriptedEngine
    session: aiohttp.ClientSession
    clock: HandClock

    def client(self, proxy: str | None, *, trust_env: bool = False) -> UTDApiClient:
        return UTDApiClient(
            FAR,
            app_id=APP_ID,
            app_key=APP_KEY,
            session=self.session,
            proxy=proxy,
            trust_env=trust_env,
            clock=self.clock,
        )


class _KnowsNobody(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(f"{host} is not known")

    async def close(self) -> None: ...


@pytest.fixture
async def far(proxy: HttpProxy, tmp_path: Path, clock: HandClock) -> AsyncIterator[Far]:
    file = write_certificate(tmp_path, "engine.test")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(file)
    believed = ssl.create_default_context(cafile=str(file))
    connector = aiohttp.TCPConnector(ssl=believed, resolver=_KnowsNobody())
    async with (
        scripted_engine(served) as engine,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        engine.will(reply({"a": 1}))
        proxy.routes = {"engine.test:443": ("127.0.0.1", URL(engine.base_url).port or 0)}
        yield Far(engine, session, clock)


def with_login(proxy: HttpProxy) -> str:
    return proxy.url.replace("://", f"://{LOGIN}@")


async def refusal(client: UTDApiClient, method: str = "GET") -> UTDStreamException:
    with pytest.raises(UTDStreamException) as caught:
        await client.request(method, "/a", is_safe=method == "GET")
    assert "hunter2" not in str(caught.value)
    return caught.value


async def test_the_engine_is_reached_through_the_proxy(proxy: HttpProxy, far: Far) -> None:
    assert await far.client(proxy.url).get("/a") == {"a": 1}
    assert proxy.asked == ["engine.test:443"]
    assert "Proxy-Authorization" not in far.engine.seen[0].headers


async def test_the_environments_proxy_is_taken_where_it_is_trusted(
    proxy: HttpProxy, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await far.client(None, trust_env=True).get("/a") == {"a": 1}
    assert proxy.asked == ["engine.test:443"]
    error = await refusal(far.client(None), "POST")
    assert error.code is UTDErrorCode.NETWORK
    assert proxy.asked == ["engine.test:443"]


async def test_who_one_is_is_for_the_proxy_alone(proxy: HttpProxy, far: Far) -> None:
    proxy.login = LOGIN
    assert await far.client(with_login(proxy)).get("/a") == {"a": 1}
    assert "Proxy-Authorization" not in far.engine.seen[0].headers


@pytest.mark.parametrize("status", [403, 407, 404, 500])
async def test_what_the_proxy_refuses_is_not_the_engines_no(
    proxy: HttpProxy, far: Far, status: int
) -> None:
    proxy.status = status
    error = await refusal(far.client(with_login(proxy)))
    assert (error.code, error.status_code) == (UTDErrorCode.NETWORK, None)
    assert f"the proxy {proxy.url.removeprefix('http://')} answers HTTP {status}" in error.message
    assert len(proxy.asked) == 1  # a password that is wrong three times may lock its owner out
    assert far.engine.seen == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_proxy_that_does_not_get_through_is_asked_again(
    proxy: HttpProxy, far: Far, status: int
) -> None:
    proxy.status = status
    error = await refusal(far.client(proxy.url))
    assert error.code is UTDErrorCode.NETWORK
    assert len(proxy.asked) == 3


@pytest.mark.parametrize("name", ["127.0.0.1:1", "proxy.invalid:3128"])
async def test_a_proxy_that_cannot_be_reached_is_told(far: Far, name: str) -> None:
    error = await refusal(far.client(f"http://{LOGIN}@{name}"))
    assert error.code is UTDErrorCode.NETWORK
    assert error.message.startswith(f"cannot reach the proxy {name}: ")


async def test_an_engine_behind_a_proxy_that_hangs_up_names_both(
    proxy: HttpProxy, far: Far
) -> None:
    proxy.routes = {"engine.test:443": ("127.0.0.1", 1)}
    error = await refusal(far.client(proxy.url))
    assert error.code is UTDErrorCode.NETWORK
    assert f"the engine through the proxy {proxy.url.removeprefix('http://')}" in error.message


async def test_no_failure_behind_a_proxy_holds_its_password(proxy: HttpProxy, far: Far) -> None:
    proxy.login = "other"
    shown = ""
    for url in (with_login(proxy), f"http://{LOGIN}@127.0.0.1:1"):
        error: BaseException | None = await refusal(far.client(url))
        while error is not None:
            shown += repr(error) + str(error) + repr(vars(error)) + repr(error.args)
            error = error.__cause__ or error.__context__
    assert "hunter2" not in shown
    assert "YW5uOmh1bnRlcjI" not in shown  # the same in base64


async def test_an_engine_on_this_machine_is_reached_directly(
    engine: ScriptedEngine, proxy: HttpProxy
) -> None:
    engine.will(reply({"a": 1}))
    client = UTDApiClient(engine.base_url, app_id=APP_ID, app_key=APP_KEY, proxy=proxy.url)
    assert await client.get("/a") == {"a": 1}
    assert proxy.asked == []
    await client.aclose()


async def test_the_whole_client_takes_the_proxy(proxy: HttpProxy) -> None:
    proxy.status = 403
    async with UTDStreamClient(APP_ID, APP_KEY, proxy=proxy.url) as client:
        with pytest.raises(UTDStreamException, match="answers HTTP 403") as caught:
            await client.authenticate("ann")
    assert caught.value.code is UTDErrorCode.NETWORK
    assert proxy.asked == ["udt-stream.com:443"]


@pytest.mark.parametrize("proxy_url", ["socks5://proxy.test:1080", "https://proxy.test", "x"])
def test_a_proxy_of_another_kind_is_refused_at_once(proxy_url: str) -> None:
    with pytest.raises(UTDStreamException) as caught:
        UTDApiClient(app_id=APP_ID, app_key=APP_KEY, proxy=proxy_url)
    assert caught.value.code is UTDErrorCode.VALIDATION
