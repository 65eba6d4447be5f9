"""What is handed over is refused unless it is what is declared: nothing is sent by halves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.checks import identities, payload


@pytest.mark.parametrize(
    "several", [["bob"], ("bob", "ana"), {"bob"}, {"bob": 1}, [], iter(["bob", "ana"])]
)
def test_several_identities_are_a_tuple(several: Any) -> None:
    names = list(several) if not hasattr(several, "__next__") else ["bob", "ana"]
    assert identities(several) == tuple(names)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ("bob", r"to=\['bob'\]"),
        ("", r"to=\[''\]"),
        (b"bob", "not bytes"),
        (7, "not int"),
        (None, "not NoneType"),
        ([b"bob"], "not b'bob'"),
        ([None], "not None"),
        (["bob", ""], "not ''"),
    ],
)
def test_one_identity_or_none_is_not_several(one: Any, says: str) -> None:
    with pytest.raises(UTDStreamException, match=says) as raised:
        identities(one)
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_the_argument_is_called_by_its_name() -> None:
    with pytest.raises(UTDStreamException, match=r"write except_=\['bob'\] for one"):
        identities("bob", "except_")


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x"), memoryview(b"xy")[:1]])
def test_a_payload_is_bytes_that_do_not_change_any_more(data: Any) -> None:
    assert payload(data) == b"x"
    assert type(payload(data)) is bytes


@pytest.mark.parametrize("data", ["x", 7, [120], None, np.zeros(1)])
def test_what_is_no_bytes_is_refused(data: Any) -> None:
    with pytest.raises(UTDStreamException, match="encode it first") as raised:
        payload(data)
    assert raised.value.code is UTDErrorCode.VALIDATION
