"""What callers hand over is what it is declared to be, or refused where they hand it over."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from math import inf, ulp
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from utd_rx.errors import invalid

C = TypeVar("C", bound=Callable[..., Any])
T = TypeVar("T")

_MAX_INT: Final = 2**53
"""Where JSON numbers stop being exact for other readers."""


def typed(cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Check every field of a value against its declared type: a `field_transformer` of attrs.

    A wrong one is refused, as a number out of its range is, also in a tuple or a map. Numbers of
    other libraries become Python's, and `48000.0`, where a whole one is declared, 48000; a `bool`
    is no number. A field with a converter of its own is left to that.
    """
    hints = get_type_hints(cls)

    def checked(field: attrs.Attribute[Any]) -> attrs.Attribute[Any]:
        if field.validator:
            field = field.evolve(validator=_refusing(field.validator))
        where = f"{cls.__name__}.{field.name}"
        return (
            field
            if field.converter
            else field.evolve(converter=_checking(where, hints[field.name]))
        )

    return [checked(field) for field in fields]


def _refusing(validator: Callable[..., None]) -> Callable[..., None]:
    """Return a validator of attrs' as one that refuses as `invalid` does."""

    def check(*of: Any) -> None:
        try:
            validator(*of)
        except ValueError as error:
            raise invalid(str(error)) from error

    return check


def _checking(where: str, declared: Any) -> Callable[[Any], Any]:
    """Return what returns a value of a declared type, and refuses every other."""
    is_choice = get_origin(declared) in (Union, UnionType)
    declarations = get_args(declared) if is_choice else (declared,)
    kinds: tuple[Any, ...] = tuple(get_origin(one) or one for one in declarations)
    number = next((kind for kind in kinds if kind in (int, float)), None)
    parts = [part for one in declarations for part in get_args(one) if part is not Ellipsis]
    checks = [_checking(f"what {where} holds", part) for part in parts]
    wanted = " or ".join(kind.__name__ for kind in kinds).replace("NoneType", "None")

    def check(value: Any) -> Any:
        if type(value) in kinds:
            if checks and value:
                columns = (value,) if len(checks) == 1 else (value.keys(), value.values())
                for check_one, column in zip(checks, columns, strict=True):
                    for entry in column:
                        check_one(entry)
            return value
        if number and isinstance(value, Real) and not isinstance(value, bool):
            with suppress(OverflowError, ValueError):  # not a number, or no end of it
                if (plain := number(value)) == value:
                    return plain
        if not number and isinstance(value, kinds):  # of a subclass
            return value
        told = repr(value) if number and isinstance(value, Real) else type(value).__name__
        raise invalid(f"{where} must be {wanted}, not {told}")

    return check


def identities(to: Iterable[str], name: str = "to") -> tuple[str, ...]:
    """Return several identities, or raise `VALIDATION`: one alone is a sequence to Python, too."""
    if isinstance(to, str):
        raise invalid(f"{name} takes several identities: write {name}=[{to!r}] for one")
    if isinstance(to, bytes | bytearray) or not isinstance(to, Iterable):
        raise invalid(f"{name} takes several identities, not {type(to).__name__}")
    return tuple(identity(who, name) for who in to)


def identity(who: str, name: str = "identity") -> str:
    """Return one identity, or raise `VALIDATION`."""
    if not isinstance(who, str) or not who:
        raise invalid(f"{name} is a string that is not empty, not {who!r}")
    return who


def source(given: object, name: str, kind: str, form: type) -> None:
    """Raise `VALIDATION` for what is no source, whose format is a `form`; None is none given."""
    if given is None:
        return
    can_open = not isinstance(given, type) and callable(getattr(given, "open", None))
    if not can_open or not isinstance(getattr(given, "format", None), form):
        raise invalid(f"{name} is {kind}, not {type(given).__name__}")


def token_source(given: object) -> None:
    """Raise `VALIDATION` for what is no function; whether it is an async one shows its answer."""
    if not callable(given):
        rule = "token_source is an async function that gives a token: hand over the function itself"
        raise invalid(f"{rule}, not {type(given).__name__}")


async def asked(token_source: Callable[[], Awaitable[str]]) -> str:
    """Return what a token source gives, or raise `VALIDATION` for one that is not async."""
    answer = token_source()
    if not inspect.isawaitable(answer):
        kind = type(answer).__name__
        raise invalid(f"the token_source gave {kind}, nothing to await: make it an `async def`")
    return await answer


_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether a function, a partial or an object is called for something to await."""
    code = getattr(function, "__code__", None)
    if code is not None:
        return bool(code.co_flags & _ASYNC)
    # Partials, and objects with an async __call__.
    call = getattr(function, "func", function)
    return any(
        inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f)
        for f in (function, call, getattr(call, "__call__", None))  # noqa: B004 - not a test of callability
    )


def answering(function: C, name: str) -> C:
    """Return a function whose answer is taken as it is, or raise `VALIDATION` for an async one:
    nobody would await it, and a coroutine counts as yes."""
    if is_async(function):
        raise invalid(f"the answer of {name} is not awaited: make it a `def`, no `async def`")
    return function


def answer(given: T, name: str) -> T:
    """Return what such a function has answered, or raise `VALIDATION` for what is to be awaited."""
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        raise invalid(f"the answer of {name} is not awaited, and it gave {type(given).__name__}")
    return given


def absolute(path: str | Path, name: str) -> Path:
    """Return a path as an absolute one, or raise `VALIDATION`: at once, because what is opened
    later may be so where another folder is the working one."""
    try:
        return Path(path).absolute()
    except TypeError as error:
        raise invalid(f"{name} must be str or Path, not {type(path).__name__}") from error


def number(value: float, rule: str, least: float, most: float = inf) -> float:
    """Return a number from `least` to `most`, as `rule` says it, or raise `VALIDATION`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value <= most:
        raise invalid(f"{rule}, not {value!r}")
    return float(value)


POSITIVE: Final = ulp(0.0)
"""The least number above 0."""


def flag(value: bool, name: str) -> bool:
    """Return a bool, or raise `VALIDATION`: "no" would count as yes."""
    if not isinstance(value, bool):
        raise invalid(f"{name} is True or False, not {value!r}")
    return value


def whole(value: int, name: str, least: int = 0, most: int = _MAX_INT) -> int:
    """Return an integer from `least` to `most`, or raise `VALIDATION`; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bound = f"of at least {least}" if most == _MAX_INT else f"from {least} to {most}"
        raise invalid(f"{name} must be an integer {bound}")
    return value


def arguments(method: Callable[..., Any]) -> Callable[..., None]:
    """Return what checks a call of `method`: its `identity`, and what is declared a bool or int."""
    signature = inspect.signature(method)
    declared = {name: one.annotation for name, one in signature.parameters.items()}

    def check(*args: Any, **kwargs: Any) -> None:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name == "identity" and (declared[name] != "str | None" or value is not None):
                identity(value)
            elif declared[name] in ("bool", bool):
                flag(value, name)
            elif declared[name] == "int" or (declared[name] == "int | None" and value is not None):
                whole(value, name)

    return check


def payload(data: bytes | bytearray | memoryview, name: str = "data") -> bytes:
    """Return the bytes to send, which do not change any more, or raise `VALIDATION`."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise invalid(f"{name} is bytes, not {type(data).__name__}: encode it first")
    return bytes(data)
