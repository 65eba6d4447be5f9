"""What encrypts a room end to end."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from utd_rx.models.encryption import Encryption, EncryptionKey, KeyDerivation, KeyRing
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.testing.strategies.words import PEOPLE, People


def encryption_keys() -> SearchStrategy[EncryptionKey]:
    """Keys: passphrases and bytes."""
    secrets = st.text(min_size=1, max_size=8) | st.binary(min_size=1, max_size=32)
    return secrets.map(EncryptionKey)


@st.composite
def key_rings(draw: DrawFn, *, size: int = 16) -> KeyRing:
    """Rings of up to four keys, one of which is sent with."""
    indices = st.integers(0, size - 1)
    keys = draw(st.dictionaries(indices, encryption_keys(), min_size=1, max_size=4))
    return KeyRing(FrozenMap(keys), draw(st.sampled_from(sorted(keys))))


@st.composite
def encryptions(draw: DrawFn, *, people: People = PEOPLE) -> Encryption:
    """A key that all share, or one of each; HKDF, whose keys take no time."""
    size = draw(st.integers(1, 16))
    window = draw(st.integers(0, 3))
    rings = key_rings(size=size)
    is_shared = draw(st.booleans())
    each = {} if is_shared else draw(st.dictionaries(people, rings, min_size=1, max_size=3))
    return Encryption(
        draw(rings) if is_shared else None,
        each,
        ratchet_window=window,
        ring_size=size,
        derivation=KeyDerivation.HKDF,
    )
