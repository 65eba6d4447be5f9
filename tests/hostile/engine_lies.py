"""What a lying engine answers, and what comes of it for the client that asked."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias

from attrs import evolve, frozen

from tests.hostile.lies import Lie
from utd_rx.errors import UTDErrorCode


@frozen
class Exchange:
    """What was asked, with the credentials that came along, and the genuine answer."""

    path: str
    credentials: tuple[str, ...]
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def http(self) -> bytes:
        """Return the answer as HTTP has it."""
        fields = (("Content-Length", str(len(self.body))), ("Connection", "close"), *self.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"HTTP/1.1 {self.status} Told\r\n{head}\r\n".encode() + self.body


Tell: TypeAlias = Callable[[Exchange, Random], bytes]
"""Returns the bytes that are answered, before the connection is closed."""

Comes: TypeAlias = frozenset[str]
"""Names of `UTDErrorCode` that a join may end with; `JOINS` where it may succeed."""

JOINS: Final = "joins"

ANY: Final[Comes] = frozenset((JOINS, *(code.name for code in UTDErrorCode))) - {"UNKNOWN"}
"""Of what is made up by chance: whatever it is, a type and in time."""


def _row(name: str, tell: Tell, *comes: str) -> Lie[Tell, Comes]:
    return Lie(name, tell, frozenset(comes))


def _error(status: int, message: str, **headers: str) -> Tell:
    """Refuse everything."""
    body = json.dumps({"message": message}).encode()

    def tell(said: Exchange, _: Random) -> bytes:
        fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return evolve(said, status=status, body=body, headers=fields).http()

    return tell


def _echo(said: Exchange, _: Random) -> bytes:
    """Quote what it was sent, wherever a text may stand."""
    quoted = " ".join(said.credentials)
    body = json.dumps({"message": "x" * 463 + quoted, "code": quoted}).encode()
    return evolve(said, status=400, body=body, headers=(("X-Echo", quoted),)).http()


def _echo_without_http(said: Exchange, _: Random) -> bytes:
    return f"HTTP/9 {' '.join(said.credentials)} \x1b[2J\r\n\r\n".encode()


def _echo_escaped(said: Exchange, _: Random) -> bytes:
    """Quote it with every sign escaped, and in base64."""
    quoted = " ".join(said.credentials)
    spelled = ("".join(form.format(ord(one)) for one in quoted) for form in _ESCAPED)
    coded = base64.b64encode(f"user:{quoted}".encode()).decode()
    body = json.dumps({"message": " ".join((coded[:300], *spelled))}).encode()
    return evolve(said, status=400, body=body).http()


_ESCAPED: Final = ("%{:02x}", "%25{:02X}", r"\u{:04x}", "&#{};")


def _echo_in_a_cut_head(said: Exchange, _: Random) -> bytes:
    quoted = " ".join(said.credentials)
    return f"HTTP/1.1 400 {quoted} Bad\r\nX-Echo: {quoted}\r\n".encode()


def _body(change: Callable[[bytes], bytes], **headers: str) -> Tell:
    """Change every body."""

    def tell(said: Exchange, _: Random) -> bytes:
        fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return evolve(said, body=change(said.body), headers=fields).http()

    return tell


def _raw(change: Callable[[bytes], bytes]) -> Tell:
    """Change the bytes of every answer."""
    return lambda said, _: change(said.http())


def _mint(**fields: object) -> Tell:
    """Change fields of a mint; None takes one away."""

    def tell(said: Exchange, _: Random) -> bytes:
        if not said.path.endswith("/token"):
            return said.http()
        wire = json.loads(said.body) | fields
        kept = {name: value for name, value in wire.items() if value is not None}
        return evolve(said, body=json.dumps(kept).encode()).http()

    return tell


def _values(change: Callable[[object, Random], object], *but: str) -> Tell:
    """Change every value of every object, except what a join takes to come about."""

    def changed(value: object, random: Random) -> object:
        if isinstance(value, Mapping):
            return {k: v if k in but else changed(v, random) for k, v in value.items()}
        if isinstance(value, list):
            return [changed(one, random) for one in value]
        return change(value, random)

    def tell(said: Exchange, random: Random) -> bytes:
        body = json.dumps(changed(json.loads(said.body or b"{}"), random))
        return evolve(said, body=body.encode()).http()

    return tell


_TEXT: Final = "\ud800\u202e\x1b[2J"
_STRANGE: Final[tuple[object, ...]] = (None, True, -1, 10**30, 1e308, "", "7", _TEXT, [], {}, [{}])
_NEEDED: Final = ("token", "url", "user_token")


def _huge(value: object, _: Random) -> object:
    return value if isinstance(value, str) else "HUGE"


def _numbers(said: Exchange, random: Random) -> bytes:
    """Numbers of 400 digits, which JSON may hold and no float."""
    body = _values(_huge, *_NEEDED)(said, random).partition(b"\r\n\r\n")[2]
    return evolve(said, body=body.replace(b'"HUGE"', b"1" + b"0" * 400)).http()


def _seats(said: Exchange, random: Random) -> bytes:
    """Ten thousand seats, each taken by somebody with a long name."""
    if not said.path.endswith("/seats"):
        return said.http()
    one = {"occupant_identity": "\ud800" * 20}
    seats = [one | {"seat_index": index} for index in range(5_000)]
    return evolve(said, body=json.dumps({"seat_count": 10**9, "seats": seats}).encode()).http()


_ESCAPES: Final = "down\ud800\x1b[31m\r\nERROR forged\u202e"
_GZIP: Final = {"Content_Encoding": "gzip"}

_M, _N = "MALFORMED_RESPONSE", "NETWORK"

LIES: Final[tuple[Lie[Tell, Comes], ...]] = (
    _row("nothing", _raw(lambda answer: answer), JOINS),
    # What is said.
    _row("escapes", _error(503, _ESCAPES, Retry_After="999999999"), "SERVER"),
    _row("a long word", _error(400, "eyJ" * 300_000), "VALIDATION"),
    _row("another's status", _error(500, "404 not found, 401, the user is banned"), "SERVER"),
    _row("slower", _error(429, "slow", Retry_After="9" * 400), "RATE_LIMITED"),
    _row("a code that is none", _body(lambda body: b'{"code": {"a": []}}'), _M),
    _row("what it was sent", _echo, "VALIDATION"),
    _row("what it was sent, escaped", _echo_escaped, "VALIDATION"),
    _row("what it was sent, without HTTP", _echo_without_http, _M, _N),
    _row("what it was sent, in a head that is cut", _echo_in_a_cut_head, _N),
    # What is no answer.
    _row("a page", _body(lambda body: b"<html>welcome</html>"), _M),
    _row("a list", _body(lambda body: b"[" + body + b"]"), _M),
    _row("nothing at all", _body(lambda body: b""), _M),
    _row("depths", _body(lambda body: b'{"a":' * 100_000), _M),
    _row("no UTF-8", _body(lambda body: b'{"token": "\xff\xfe"}'), _M),
    _row("two megabytes", _body(lambda body: b" " * 2**21 + body), _M),
    _row("a bomb", _body(lambda body: gzip.compress(b" " * 2**24), **_GZIP), _M),
    _row("no gzip", _body(lambda body: body, **_GZIP), _M),
    _row("half of it", _raw(lambda answer: answer[:-20]), _N),
    _row("no HTTP", _raw(lambda answer: b"\x00\xff" * 200 + b"\r\n\r\n"), _M),
    _row("a redirect", _error(307, "", Location="http://127.0.0.1:1/"), _M),
    _row("another protocol", _error(101, "", Upgrade="x"), _M, _N),
    _row("headers", _error(200, "", **{f"X_{n}": "x" * 100 for n in range(2_000)}), _M),
    # What is minted.
    _row("media elsewhere, in clear", _mint(url="ws://203.0.113.7/"), _M, "VALIDATION"),
    _row("media nowhere", _mint(url="ws://127.0.0.1:1"), _N),
    _row("media in a file", _mint(url="file:///etc/passwd"), _M),
    _row("no media", _mint(url=None), _M),
    _row("no token", _mint(token=""), _M),
    _row("a token that is none", _mint(token="\r\nX-Evil: 1"), _M),
    _row("a token of nobody", _mint(token="x"), "UNAUTHORIZED"),
    _row("signals elsewhere, in clear", _mint(ws_url="ws://203.0.113.7/"), JOINS),
    _row("a room of another name", _mint(roomName="\u202e" * 10_000, room_name=7), JOINS),
    # What is so.
    _row("seats without end", _seats, JOINS),
    _row("numbers without end", _numbers, JOINS),
    _row(
        "strange values",
        _values(lambda value, random: random.choice(_STRANGE), *_NEEDED),
        JOINS,
    ),
    Lie("any values", _values(lambda value, random: random.choice((value, *_STRANGE))), ANY),
)


def by_chance(seed: int) -> Lie[Tell, Comes]:
    """Return a lie that is told by no row: bytes of answers changed, a mint's values alone."""
    chance = Random(seed)
    values = _values(lambda value, _: chance.choice((*[value] * 9, *_STRANGE)))

    def tell(said: Exchange, random: Random) -> bytes:
        if said.path.endswith("/token"):  # an address of chance is nobody's to be called
            return _values(lambda value, _: chance.choice((value, *_STRANGE)), *_NEEDED)(
                said, random
            )
        if chance.random() < 0.5:
            return values(said, random)
        answer = bytearray(said.http())
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(answer))
            answer[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        return bytes(answer)

    return Lie(f"{_BY_CHANCE}{seed}", tell, ANY)


_BY_CHANCE: Final = "by chance "


def tell_of(name: str) -> Tell:
    """Return how the lie of a name is told."""
    if name.startswith(_BY_CHANCE):
        return by_chance(int(name.removeprefix(_BY_CHANCE))).tell
    return next(lie.tell for lie in LIES if lie.name == name)
