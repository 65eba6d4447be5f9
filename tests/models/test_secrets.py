"""What is known to be secret is not told, however it is spelled."""

from __future__ import annotations

import ast
import base64
import html
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import utd_rx
from tests.support.syntax import parse
from utd_rx.models import secrets
from utd_rx.models.secrets import (
    HIDDEN,
    MAX_PARTS,
    MAX_TEXT,
    foreign_text,
    printable,
    without_secrets,
    without_tokens,
)

PASSWORD = "p&ss/w%rd ü+~"


@pytest.mark.parametrize(
    "spelled",
    [
        PASSWORD,
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote_plus(PASSWORD),
        quote(PASSWORD, safe="").lower(),
        quote(quote(PASSWORD)),
        "".join(f"%{one:02x}" for one in PASSWORD.encode()),
        "".join(f"%2525{one:02X}" for one in PASSWORD.encode()),
        "".join(rf"\u{ord(one):04x}" for one in PASSWORD).replace(r"\u00fc", r"\xc3\xbc"),
        "".join(rf"\\x{one:02x}" for one in PASSWORD.encode()),
        html.escape(PASSWORD).replace("&amp;", "&#38;"),
        "".join(f"&#x{one:x};" for one in PASSWORD.encode()),
    ],
)
def test_every_spelling_is_hidden(spelled: str) -> None:
    assert without_secrets(f"GET /?a={spelled}: no", PASSWORD) == "GET /?a=…: no"


@settings(max_examples=25)
@given(st.data())
def test_a_secret_is_hidden_whichever_of_its_signs_are_escaped(draw: st.DataObject) -> None:
    forms: list[Callable[[int], str]] = [chr, "%{:02x}".format, "%25{:02X}".format]
    forms += [r"\u{:04x}".format, "&#{};".format]
    spelled = [draw.draw(st.sampled_from(forms))(one) for one in SECRET.encode()]
    before, after = draw.draw(st.tuples(st.text("x%2 5\\&#u0", max_size=9), st.text("x25;")))
    told = foreign_text(f"{before} {''.join(spelled)} {after}", SECRET)
    assert told == foreign_text(f"{before} … {after}")


SECRET = "sesame-open.yourself-now"


@pytest.mark.parametrize("before", ["", "u:", "me:"])
def test_a_secret_is_hidden_in_base64(before: str) -> None:
    coded = base64.b64encode(f"{before}{SECRET}".encode()).decode()
    told = without_secrets(f"Basic {coded} is wrong", SECRET)
    assert HIDDEN in told
    assert len(told) < len("Basic … is wrong") + 8
    assert without_secrets(base64.b64encode(b"else").decode(), "short") == "ZWxzZQ=="


ENDLESS: Final = {
    "escapes": "%25" * 50_000 + "\\" * 50_000 + "&#" + "0" * 50_000 + "%41" * 10_000,
    "one sign": "%61" + "a" * 200_000,
    "nearly": "%61" + ("a" * 7_999 + "c") * 25,
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        ".".join(f"{number:08x}" for number in range(8_000)),
        "a" * 40_000,
        ".".join("a" * number + "b" + "a" * number for number in range(4_000, 4_100)),
    ],
    ids=["short", "many parts", "one sign", "nearly"],
)
def test_escapes_without_end_cost_little(text: str, secret: str) -> None:
    begun = time.thread_time()
    foreign_text(text, secret)
    assert time.thread_time() - begun < 1.0  # 0.03; what is not linear takes minutes


def test_the_last_part_of_a_token_is_all_that_follows() -> None:
    parts = [f"part-{number:04}" for number in range(MAX_PARTS + 2)]
    alone = [without_secrets(part, ".".join(parts)) for part in parts]
    assert alone == [HIDDEN] * (MAX_PARTS - 1) + parts[MAX_PARTS - 1 :]
    assert without_secrets(".".join(parts[MAX_PARTS - 1 :]), ".".join(parts)) == HIDDEN


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    assert without_secrets("Bearer abc.def", "abc", None, "", "abc.def") == "Bearer …"


def test_each_part_of_a_token_is_a_secret_and_a_word_of_it_is_none() -> None:
    token = "eyJhbGciOi.user.signature-of-it"
    told = without_secrets("user, signature-of-it is wrong after eyJhbGciOi", token)
    assert told == "user, … is wrong after …"


def test_without_secrets_a_text_stays() -> None:
    assert without_secrets("no such room", None, "") == "no such room"


@given(st.text(), st.text(min_size=1), st.text())
def test_no_text_holds_the_secret(before: str, secret: str, after: str) -> None:
    told = without_secrets(before + secret + after, secret)
    assert secret not in told or secret in HIDDEN or HIDDEN in secret


@given(st.text(), st.text())
def test_a_foreign_text_is_one_short_printable_line(before: str, after: str) -> None:
    told = foreign_text(before + "\x1b[2J\r\n\u202e" + after)
    assert told.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert len(told) <= MAX_TEXT + 1
    told.encode()


@pytest.mark.parametrize("place", range(MAX_TEXT - len(SECRET) - 1, MAX_TEXT + 2))
def test_a_secret_where_a_text_is_cut_shows_nothing_of_it(place: int) -> None:
    told = foreign_text("x" * place + SECRET, SECRET)
    assert told.rstrip(HIDDEN) == "x" * min(place, MAX_TEXT)
    assert told.endswith(HIDDEN)


@pytest.mark.parametrize("before", range(0, len(SECRET), 3))
def test_a_text_of_nothing_but_secrets_shows_none_wherever_it_is_cut(before: int) -> None:
    told = foreign_text("x" * before + f" {SECRET}" * 1_000, SECRET)
    assert set(told[before:]) == {HIDDEN, " "}


def test_what_costs_most_sees_little_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(text: str) -> str:
        looked_at.append(len(text))
        return without_tokens(text)

    monkeypatch.setattr(secrets, "without_tokens", counted)
    foreign_text("x" * 1_000_000, SECRET)
    foreign_text("x" * 1_000_000, SECRET, max_text=10)
    assert looked_at == [8 * MAX_TEXT, 80]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("sa\u200dra", "sa\ufffdra"),
        ("é\u200d\u200dé", "é\ufffd\ufffdé"),
    ],
)
def test_what_joins_letters_stays_where_it_joins(text: str, told: str) -> None:
    assert printable(text) == told


def test_what_looks_like_a_token_is_hidden_though_nobody_knows_it() -> None:
    assert foreign_text("at eyJhbGc.eyJzdWI%2Exyz: no") == "at …: no"
    assert foreign_text("heyJude.is a song") == "heyJude.is a song"


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW1pIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("dot", [".", "%2E", "%2e", "%252E", "%25252e"])
@pytest.mark.parametrize(
    "before",
    ["", "access_token=", "access_token%3D", "access_token%3d", "%22", "%2522", r"\u0022", r"\n"],
)
def test_a_token_is_hidden_however_it_and_what_is_before_it_are_escaped(
    before: str, dot: str
) -> None:
    told = foreign_text(f"at {before}{TOKEN.replace('.', dot)}: no")
    assert told == f"at {before}…: no"


def test_a_short_token_is_hidden_behind_an_escape_too() -> None:
    assert foreign_text("at %22eyJhbGc%2EeyJz%22: no") == "at %22…%22: no"


LOCAL: Final = frozenset(("rtc/native.py",))
"""Its words are of this machine's loader, and where they come from helps."""


def keeps_an_error_of_others(handler: ast.ExceptHandler) -> bool:
    """Whether a foreign text is told by what is raised while the error that said it is handled, and
    so travels along, raw, as its cause or context."""
    inside = [node for part in handler.body for node in ast.walk(part)]
    called = [node.func for node in inside if isinstance(node, ast.Call)]
    tells = any(getattr(what, "id", "") in {"foreign_text", "transport_failure"} for what in called)
    return tells and any(isinstance(node, ast.Raise) for node in inside)


def test_no_error_that_tells_foreign_words_carries_them_raw_as_well() -> None:
    package = Path(utd_rx.__file__).parent
    handlers = {
        f"{path.relative_to(package)}": [
            node
            for node in ast.walk(parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ExceptHandler)
        ]
        for folder in ("agent", "media", "rest", "rtc", "sessions")
        for path in sorted((package / folder).rglob("*.py"))
    }
    kept = {name for name, found in handlers.items() if any(map(keeps_an_error_of_others, found))}
    assert kept == LOCAL
