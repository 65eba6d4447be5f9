"""What may not be told, taken out of what is told."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Final

HIDDEN: Final = "…"

CREDENTIAL: Final = {"is_credential": True}
"""The metadata of a field that nothing may stand for in a recording."""

MAX_TEXT: Final = 500
"""Characters of a foreign text that are told: it ends in logs, and may be a megabyte."""

MAX_PARTS: Final = 8
"""Parts of a token that are secrets by themselves, the last with all that follows: it has three,
and each is looked for in every text."""

_ESCAPE: Final = re.compile(
    rb"%(?:25)*([0-9A-Fa-f]{2})|\\{1,8}(?:u00|x)([0-9A-Fa-f]{2})"
    rb"|&#(?:[xX]0{0,6}([0-9A-Fa-f]{1,2})|0{0,6}([0-9]{1,3}));"
)
"""A sign as URLs, JSON, programs and HTML write it; of a URL in a URL, too."""

# Begins at the beginning of a word, or, behind an escape such as %22 or \u0022, where it is as long
# as no word is; it never goes back: linear in any text. Its dots may be encoded, and that again.
_TOKEN: Final = re.compile(
    r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]*(?:(?:\.|%(?:25)*2[Ee])[\w-]*)*"
    r"|eyJ[\w-]{13,}(?:(?:\.|%(?:25)*2[Ee])[\w-]*)*"
)

_OTHER: Final = r"[^\x00-\x7f\u200c\u200d]"

_JOINER: Final = re.compile(f"(?<={_OTHER})([\\u200c\\u200d])(?={_OTHER})")
"""Where it has a meaning: between two signs beyond ASCII."""

_MIN_PART: Final = 8
"""Characters of a token's part; anything shorter is no secret by itself, and stands in words."""


def foreign_text(text: str, *secrets: str | None, max_text: int = MAX_TEXT) -> str:
    """Return a text of somebody else's as one line that can be told anybody, `max_text` at most:
    without `secrets`, what looks like a token, what a terminal obeys or UTF-8 cannot say."""
    known = without_secrets(text, *secrets)
    # Cut before what costs most, generously: what is hidden may have been long.
    told = printable(without_tokens(known[: 8 * max_text]))
    return told if len(told) <= max_text else told[:max_text] + HIDDEN


def printable(text: str) -> str:
    """Return a text as one line that no terminal obeys; what joins letters of Persian or Hindi, or
    the parts of an emoji, stays."""
    parts = _JOINER.split(" ".join(text.split()))
    parts[::2] = ("".join(s if s.isprintable() else "\ufffd" for s in part) for part in parts[::2])
    return "".join(parts)


def without_tokens(text: str) -> str:
    """Return `text` with "…" for whatever looks like a token."""
    return _TOKEN.sub(HIDDEN, text)


def without_secrets(text: str, *secrets: str | None) -> str:
    """Return `text` with "…" for each of `secrets`, as it is, in base64, or with any of its signs
    escaped in any usual way.

    Call it before the text is cut, or the beginning of a secret stays at the end. Each part of a
    token counts by itself, up to `MAX_PARTS`; None and "" are passed over.
    """
    return hiding(*secrets)(text)


def hiding(*secrets: str | None) -> Callable[[str], str]:
    """Return `without_secrets` for many texts."""
    parts = (part for secret in secrets if secret for part in secret.split(".", MAX_PARTS - 1))
    known = {*filter(None, secrets), *(part for part in parts if len(part) >= _MIN_PART)}
    known |= {secret.replace(" ", "+") for secret in known}  # as forms write it
    # "surrogatepass": half of a pair is no UTF-8, and a message must not fail over it.
    raw = {one.encode("utf-8", "surrogatepass") for one in known}
    # The longest first: one secret may be a part of another.
    spelled = sorted({*raw, *(one for each in raw for one in _in_base64(each))}, key=len)[::-1]

    def hide(text: str) -> str:
        if not spelled:
            return text
        told = _without_escaped(text.encode("utf-8", "surrogatepass"), spelled)
        for one in spelled:
            told = told.replace(one, _HIDDEN)
        return told.decode("utf-8", "surrogatepass")

    return hide


_HIDDEN: Final = HIDDEN.encode()


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """Yield what of it stands in base64, at each of three places, where that is long enough."""
    for before, begin in ((0, 0), (1, 2), (2, 3)):
        coded = b64encode(bytes(before) + secret)
        coded = coded[begin : 4 * ((before + len(secret)) // 3)]
        if len(coded) >= _MIN_PART:
            yield from (coded, coded.replace(b"+", b"-").replace(b"/", b"_"))


def _without_escaped(text: bytes, secrets: list[bytes]) -> bytes:
    """Return `text` with "…" for what is one of `secrets` when its escapes are read; linear."""
    plain, places, at = bytearray(), list[int](), 0  # of each byte, where it begins in `text`
    for found in _ESCAPE.finditer(text):
        number = int(found[4]) if found[4] else int(found[1] or found[2] or found[3], 16)
        if number < 256:
            plain += text[at : found.start()] + bytes([number])
            places += range(at, found.start() + 1)
            at = found.end()
    if not at:
        return text
    plain += text[at:]
    places += range(at, len(text) + 1)
    spans = sorted((begin, begin + len(one)) for one in secrets for begin in _where(one, plain))
    told, at = bytearray(), 0
    for begin, end in spans:
        if (first := places[begin]) >= at:
            told += text[at:first] + _HIDDEN
        at = max(at, places[end])
    return bytes(told + text[at:])


def _where(one: bytes, plain: bytearray) -> Iterator[int]:
    at = plain.find(one)
    while at >= 0:
        yield at
        at = plain.find(one, at + len(one))
