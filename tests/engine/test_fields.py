"""What is wrong in a body is refused by the field's name, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import pytest

from utd_rx.engine.routes import fields
from utd_rx.engine.rules.refusal import Reason, Refusal


class Mode(Enum):
    FREE = "free"
    TWO = 2


Read = Callable[[dict[str, object]], Any]
READERS: dict[str, Read] = {
    "identity": lambda body: fields.identity_of(body, "x"),
    "text": lambda body: fields.text_of(body, "x", 3),
    "int": lambda body: fields.int_of(body, "x", 1, 9),
    "choice": lambda body: fields.choice_of(body, "x", Mode),
    "flag": lambda body: fields.flag_of(body, "x", True),
    "object": lambda body: fields.object_of(body, "x"),
    "required": lambda body: fields.required_object_of(body, "x"),
    "texts": lambda body: fields.texts_of(body, "x", 2),
}
MISSING: list[tuple[str, object]] = [
    ("text", None), ("int", None), ("choice", None), ("flag", True), ("object", {}),
    ("texts", None),
]  # fmt: skip
READ = [
    ("identity", "ana", "ana"), ("text", "", None), ("text", "abc", "abc"), ("int", 1, 1),
    ("int", 9, 9), ("choice", "free", Mode.FREE), ("choice", 2, Mode.TWO), ("flag", False, False),
    ("object", {"a": [1]}, {"a": [1]}), ("required", '{"a": 1}', {"a": 1}), ("required", {}, {}),
    ("texts", [], ()), ("texts", ["a", "b"], ("a", "b")),
]  # fmt: skip
REFUSED = [
    ("identity", None), ("identity", ""), ("identity", 5), ("text", "abcd"), ("text", "a\n"),
    ("text", 5), ("int", 0), ("int", 10), ("int", True), ("int", 1.0), ("int", "1"),
    ("choice", "king"), ("choice", ["free"]), ("flag", 1), ("flag", "true"), ("object", []),
    ("object", {"a": float("nan")}), ("object", {"a": "\ud800"}), ("required", None),
    ("required", "[]"), ("required", "{"), ("texts", ["a", "b", "c"]), ("texts", ["a", 1]),
    ("texts", "ab"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "value"), MISSING)
def test_what_is_missing_or_null_has_its_default(reader: str, value: object) -> None:
    assert READERS[reader]({}) == READERS[reader]({"x": None}) == value


@pytest.mark.parametrize(("reader", "given", "value"), READ)
def test_what_fits_is_read(reader: str, given: object, value: object) -> None:
    assert READERS[reader]({"x": given}) == value


@pytest.mark.parametrize(("reader", "given"), REFUSED)
def test_what_does_not_fit_is_refused_by_name(reader: str, given: object) -> None:
    with pytest.raises(Refusal) as raised:
        READERS[reader]({"x": given})
    assert raised.value.reason is Reason.VALIDATION
    assert str(raised.value).startswith("x ")


@pytest.mark.parametrize(
    ("query", "page"),
    [("", (1, 20)), ("?page=3&per_page=7", (3, 7)), ("?per_page=500", (1, 100))],
)
def test_a_page_is_of_twenty_rows_and_of_a_hundred_at_most(
    query: str, page: tuple[int, int]
) -> None:
    assert fields.page_of(dict(parse_qsl(query.removeprefix("?")))) == page


@pytest.mark.parametrize("wrong", ["page=0", "page=-1", "per_page=x", "page=²", "page=1" + "0" * 9])
def test_a_page_that_is_no_number_is_refused(wrong: str) -> None:
    with pytest.raises(Refusal):
        fields.page_of(dict(parse_qsl(wrong)))


def test_a_page_says_how_many_there_are() -> None:
    rows: list[dict[str, object]] = [{"n": n} for n in range(5)]
    wire = fields.page_to_wire(rows, 3, 2)
    assert wire["data"] == [{"n": 4}]
    assert wire["pagination"] == {"page": 3, "per_page": 2, "total": 5, "total_pages": 3}
    assert fields.page_to_wire([], 9, 20)["data"] == []
