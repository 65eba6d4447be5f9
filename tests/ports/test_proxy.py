"""One rule says which proxy is on the way, and this machine is never behind one."""

from __future__ import annotations

import pickle
from typing import Any, cast

import pytest

from utd_rx.engine.listening import reached_at
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports.proxy import Proxies, Proxy, is_clear_text, is_this_machine
from utd_rx.rest.checks import checked_base_url

PROXY = "http://proxy.test:3128"
ENVIRONMENT = {
    "HTTP_PROXY": "http://plain.test:1",
    "https_proxy": "tls.test:2",
    "NO_PROXY": "near.test, .inner.test,odd.test:8443",
}


def way(proxies: Proxies, url: str) -> str | None:
    proxy = proxies.for_url(url)
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8080", "ws://localhost:7880", "https://[::1]", "wss://127.9.9.9"),
        *(
            "http://localhost.",
            "ws://LOCALHOST:1",
            "ws://127.1",
            "http://127.0.1:80",
            "ws://0x7f.1",
        ),
        *("http://2130706433", "ws://127.0.0.1.", "ws://[::ffff:127.0.0.1]", "", "x"),
    ],
)
def test_this_machine_is_never_proxied(url: str) -> None:
    assert way(Proxies.of(PROXY, environment={}), url) is None
    assert way(Proxies.of(trust_env=True, environment=ENVIRONMENT), url) is None


@pytest.mark.parametrize(
    "host",
    [
        *("128.1", "1.127", "127.evil.test", "xlocalhost", "localhost..", "127.1.1.1.1", "127"),
        *("203.0.113.7", "2001:db8::7", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"),
    ],
)
def test_what_only_looks_like_this_machine_is_another(host: str) -> None:
    assert not is_this_machine(host)


def test_an_address_of_its_own_is_this_machine() -> None:
    own = reached_at("0.0.0.0")  # as an engine on every address says where it is
    url = f"http://{own}:8080"
    assert is_this_machine(own)
    assert way(Proxies.of(PROXY, environment={}), url) is None
    assert not is_clear_text(url)
    assert str(checked_base_url(url)) == url
    assert is_clear_text("http://203.0.113.7:8080")


def test_the_rule_is_of_what_it_says() -> None:
    for wrong in ({"plain": PROXY}, {"tls": 5}, {"direct": None}):
        with pytest.raises(UTDStreamException, match="must be") as raised:
            Proxies(**cast("Any", wrong))
        assert raised.value.code is UTDErrorCode.VALIDATION
    with pytest.raises(UTDStreamException, match="trust_env is True or False"):
        Proxies.of(trust_env=cast("Any", "no"))


@pytest.mark.parametrize("url", ["ws://[x", "wss://far.test:99999", "wss://far.test:x"])
def test_what_is_no_url_has_no_proxy(url: str) -> None:
    assert way(Proxies.of(PROXY, environment={}), url) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://engine.test", "tls.test:2"),
        ("wss://media.test/rtc", "tls.test:2"),
        ("http://engine.test", "plain.test:1"),
        ("ws://media.test", "plain.test:1"),
        ("https://near.test", None),
        ("wss://a.near.test", None),
        ("https://a.inner.test", None),
        ("https://odd.test:8443", None),
        ("https://odd.test", "tls.test:2"),
        ("https://nonear.test", "tls.test:2"),
    ],
)
def test_media_and_rest_take_the_same_way(url: str, expected: str | None) -> None:
    assert way(Proxies.of(trust_env=True, environment=ENVIRONMENT), url) == expected


def test_the_environment_counts_only_where_it_is_trusted() -> None:
    assert way(Proxies.of(environment=ENVIRONMENT), "https://engine.test") is None


def test_a_proxy_that_is_given_goes_before_the_environments() -> None:
    proxies = Proxies.of(PROXY, trust_env=True, environment=ENVIRONMENT)
    assert way(proxies, "https://engine.test") == way(proxies, "ws://engine.test")
    assert way(proxies, "https://engine.test") == "proxy.test:3128"


def test_what_no_proxy_names_is_reached_without_one_that_is_given() -> None:
    assert way(Proxies.of(PROXY, environment=ENVIRONMENT), "https://near.test") is None
    assert way(Proxies.of(PROXY, environment={"no_proxy": "*"}), "https://far.test") is None


def test_a_header_that_a_web_server_passed_on_is_no_proxy() -> None:
    environment = {**ENVIRONMENT, "REQUEST_METHOD": "GET"}
    proxies = Proxies.of(trust_env=True, environment=environment)
    assert way(proxies, "http://engine.test") is None
    assert way(proxies, "https://engine.test") == "tls.test:2"


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://first.test")
    proxies = Proxies.of(trust_env=True)
    monkeypatch.setenv("https_proxy", "http://second.test")
    assert way(proxies, "https://engine.test") == "first.test:80"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.test:3128",
        "socks5://hunter2@proxy.test",
        "https://hunter2@proxy.test",
        "http://",
        "http://hunter2:x@proxy.test/path",
        "http://proxy.test:99999",
        "http://proxy.test:hunter2",
        "http://[hunter2",
    ],
)
def test_what_is_no_http_proxy_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UTDStreamException) as caught:
        Proxies.of(url, environment={})
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", [7, b"http://proxy.test", object()])
def test_a_proxy_is_a_string(url: object) -> None:
    with pytest.raises(UTDStreamException):
        Proxy(url)  # type: ignore[arg-type]


def test_credentials_are_in_nothing_that_is_printed() -> None:
    proxies = Proxies.of("http://ann:hunter%2F2@proxy.test:3128", environment={})
    proxy = proxies.for_url("https://engine.test")
    assert proxy is not None
    assert "hunter" not in repr(proxies) + str(proxies) + repr(proxy) + str(proxy)
    assert proxy.password == "hunter/2"
    assert pickle.loads(pickle.dumps(proxies)) == proxies


@pytest.mark.parametrize(
    ("url", "is_clear"),
    [
        ("ws://media.test", True),
        ("HTTP://10.0.0.1:7880", True),
        ("ws://127.0.0.1.evil.test", True),
        ("ws://evil.test\\@127.0.0.1", True),
        ("ws:\\\\evil.test:7880\\@localhost:7880", True),
        ("ws://127.0.0.1@evil.test", True),
        ("ws:///evil.test", True),
        ("ws://127.0.0.1:7880", False),
        ("ws://[::1]", False),
        ("ws://localhost", False),
        ("wss://media.test", False),
        ("https://media.test", False),
        ("ws://[x", False),
        ("", False),
    ],
)
def test_clear_text_is_what_leaves_this_machine_without_tls(url: str, is_clear: bool) -> None:
    assert is_clear_text(url) is is_clear
