"""What may not be told, taken out of what is told."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "…"

_ESCAPE: Final = re.compile("%[0-9A-F]{2}")


def without_secrets(text: str, *secrets: str | None) -> str:
    """Return `text` with "…" for each of `secrets`, as it is or percent-encoded in any usual way.

    For texts of others: a server quotes the token that it refuses, a library the url that it
    called. Call it before the text is cut, or the beginning of a secret stays at the end.

    Args:
        text: Any text.
        secrets: What is known to be secret; None and "" are passed over.
    """
    spelled = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    # The longest first: one secret may be a part of another.
    for spelling in sorted(spelled, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return text


def _spellings(secret: str) -> set[str]:
    # "surrogatepass": half of a pair is no UTF-8, and a message must not fail over it.
    encoded = {quote(secret, safe, errors="surrogatepass") for safe in ("", "/")}
    encoded.add(quote_plus(secret, errors="surrogatepass"))
    lowered = {_ESCAPE.sub(lambda escape: escape[0].lower(), text) for text in encoded}
    return {secret} | encoded | lowered
