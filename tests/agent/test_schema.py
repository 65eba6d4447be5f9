"""What an annotation says as JSON schema is what an argument has to be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from utd_rx import UTDErrorCode, UTDStreamException
from utd_rx.agent.schema import reader_of

CASES: list[tuple[Any, dict[str, object], list[object], list[object]]] = [
    (str, {"type": "string"}, ["a", ""], [1, None, True]),
    (int, {"type": "integer"}, [1, -1], ["1", 1.5, True]),
    (float, {"type": "number"}, [1.5, 2], ["1", True, None]),
    (bool, {"type": "boolean"}, [True, False], [0, "no"]),
    (Literal["c", 1], {"enum": ["c", 1]}, ["c", 1], ["d", True, 1.0]),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["1"]),
    (
        list[str],
        {"type": "array", "items": {"type": "string"}},
        [["a"], []],
        ["a", [1]],
    ),
    (
        dict[str, float],
        {"type": "object", "additionalProperties": {"type": "number"}},
        [{"a": 1.0}, {}],
        [[], {"a": "b"}],
    ),
    (list, {"type": "array"}, [[1, "a"]], [1]),
    (dict, {"type": "object"}, [{"a": [1]}], [1]),
    (
        Annotated[str, "the city"],
        {"type": "string", "description": "the city"},
        ["a"],
        [1],
    ),
    (Annotated[str, 5], {"type": "string"}, ["a"], [1]),
]


@pytest.mark.parametrize(("annotation", "schema", "right", "wrong"), CASES, ids=lambda one: "")
def test_a_reader_takes_what_its_schema_says(
    annotation: Any, schema: dict[str, object], right: list[object], wrong: list[object]
) -> None:
    said, read = reader_of(annotation, "it")
    assert said == schema
    assert [read(value, "it") for value in right] == right
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=r"^it.* must be"):
            read(value, "it")


def test_a_whole_number_becomes_the_float_that_was_declared() -> None:
    _, read = reader_of(float, "it")
    assert isinstance(read(2, "it"), float)


def test_what_is_wrong_inside_is_named() -> None:
    _, read = reader_of(dict[str, list[int]], "it")
    with pytest.raises(TypeError, match=r"^it\.a\[1\] must be of type integer$"):
        read({"a": [1, "b"]}, "it")


@pytest.mark.parametrize("annotation", [bytes, object, tuple[int, int], dict[int, str], Any, "str"])
def test_what_no_schema_says_is_refused(annotation: Any) -> None:
    with pytest.raises(UTDStreamException, match="use str, int") as refused:
        reader_of(annotation, "parameter x of f")
    assert refused.value.code is UTDErrorCode.VALIDATION
