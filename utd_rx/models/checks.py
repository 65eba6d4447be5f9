"""What callers hand over is what it is declared to be, or refused where they hand it over."""

from __future__ import annotations

from collections.abc import Iterable

from utd_rx.errors import UTDErrorCode, UTDStreamException


def identities(to: Iterable[str], name: str = "to") -> tuple[str, ...]:
    """Return several identities; one alone is no sequence, though Python would spell it out.

    Raises:
        UTDStreamException: `VALIDATION`, unless they are strings that say something.
    """
    if isinstance(to, str):
        raise _invalid(f"{name} takes several identities: write {name}=[{to!r}] for one")
    if isinstance(to, bytes | bytearray) or not isinstance(to, Iterable):
        raise _invalid(f"{name} takes several identities, not {type(to).__name__}")
    several = tuple(to)
    for who in several:
        if not isinstance(who, str) or not who:
            raise _invalid(f"an identity in {name} is a string that is not empty, not {who!r}")
    return several


def payload(data: bytes | bytearray | memoryview, name: str = "data") -> bytes:
    """Return the bytes to send, which do not change any more.

    Raises:
        UTDStreamException: `VALIDATION`, unless they are bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise _invalid(f"{name} is bytes, not {type(data).__name__}: encode it first")
    return bytes(data)


def _invalid(message: str) -> UTDStreamException:
    return UTDStreamException(message, code=UTDErrorCode.VALIDATION)
