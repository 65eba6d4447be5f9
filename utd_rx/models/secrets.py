"""What may not be told, taken out of what is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "…"

CREDENTIAL: Final = {"is_credential": True}
"""The metadata of a field that nothing may stand for in a recording."""

MAX_TEXT: Final = 500
"""Characters of a foreign text that are told: it ends in logs, and may be a megabyte."""

_ESCAPE: Final = re.compile("%[0-9A-F]{2}")

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
    """Return `text` with "…" for each of `secrets`, as it is or percent-encoded in any usual way.

    Call it before the text is cut, or the beginning of a secret stays at the end. Each part of a
    token counts by itself; None and "" are passed over.
    """
    return hiding(*secrets)(text)


def hiding(*secrets: str | None) -> Callable[[str], str]:
    """Return `without_secrets` for many texts."""
    parts = (part for secret in secrets if secret for part in secret.split("."))
    known = {*filter(None, secrets), *(part for part in parts if len(part) >= _MIN_PART)}
    # The longest first: one secret may be a part of another.
    spelled = sorted({one for secret in known for one in _spellings(secret)}, key=len, reverse=True)

    def hide(text: str) -> str:
        for spelling in spelled:
            text = text.replace(spelling, HIDDEN)
        return text

    return hide


def _spellings(secret: str) -> set[str]:
    # "surrogatepass": half of a pair is no UTF-8, and a message must not fail over it.
    encoded = {quote(secret, safe, errors="surrogatepass") for safe in ("", "/")}
    encoded.add(quote_plus(secret, errors="surrogatepass"))
    lowered = {_ESCAPE.sub(lambda escape: escape[0].lower(), text) for text in encoded}
    return {secret} | encoded | lowered
