"""Nouns as JSON values and back, strictly: `to_plain` writes, `from_plain` builds and checks.

For frozen dataclasses of texts, numbers, enums, other nouns, and tuples, sets or tables of these; what `from_plain`
takes is decided by the annotations alone. No I/O; a `Secret` is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from .model import JsonValue, Secret

_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})


def to_plain(value: object) -> JsonValue:
    """Any noun as JSON values: dataclasses become objects, sets sorted lists. Secrets raise TypeError."""
    kind = type(value)
    return value if kind in _AS_THEY_ARE else _writer(typing.cast("Hashable", kind))(value)


@functools.cache  # a list of mailboxes asks for a hundred values a row
def _writer(kind: Hashable) -> Callable[[Any], JsonValue]:
    """How values of this type are written."""
    type_ = typing.cast("type[Any]", kind)
    if issubclass(type_, Secret):
        raise TypeError("a secret cannot be written")
    if dataclasses.is_dataclass(type_):
        names = tuple(f.name for f in dataclasses.fields(type_))
        return lambda noun: {name: to_plain(getattr(noun, name)) for name in names}
    if issubclass(type_, Mapping):
        return lambda table: {str(key): to_plain(item) for key, item in table.items()}
    if issubclass(type_, frozenset | set):
        return lambda items: sorted(map(to_plain, items))
    if issubclass(type_, list | tuple):
        return lambda items: [to_plain(item) for item in items]
    if issubclass(type_, StrEnum):
        return lambda member: member.value
    return int if issubclass(type_, IntEnum) else lambda value: value


class NotPlainError(ValueError):
    """JSON (or TOML) that does not fit the noun; the message names the key and what was expected."""


class _UnfitError(Exception):
    """On its way up to `from_plain`: each level puts its key in front."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.path = ""

    def within(self, key: str) -> _UnfitError:
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{key}{dot}{self.path}"
        return self


T = TypeVar("T")
Maker = Callable[[JsonValue], Any]


def from_plain(kind: type[T], data: JsonValue, where: str = "") -> T:
    """The way back: builds `kind` from JSON or TOML values, strictly.

    Raises NotPlainError, with the path of the offending key, for unknown keys, missing keys and wrong types.
    """
    try:
        built: T = _maker(typing.cast("Hashable", kind))(data)
    except _UnfitError as why:
        if where:
            why.within(where)
        raise NotPlainError(f"{why.path or 'top level'}: {why}") from None
    return built


@functools.cache
def _maker(kind: Any) -> Maker:
    """The function that builds values of this type; made once, because the handbook alone has thousands of values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda data: data
    if origin in (typing.Union, types.UnionType):
        chosen = _maker(next(choice for choice in arguments if choice is not type(None)))
        return lambda data: None if data is None else chosen(data)
    if origin in (tuple, frozenset):
        return _many(origin, _maker(arguments[0]))
    if origin is not None:
        return _table(_maker(arguments[1]))
    if dataclasses.is_dataclass(kind):
        return _noun(typing.cast("type[Any]", kind))
    return _value(kind)


def _text(data: JsonValue) -> Any:
    if type(data) is str:
        return data
    raise _UnfitError(f"expected str, got {data!r}")


def _value(kind: Any) -> Maker:
    if kind is str:
        return _text
    if issubclass(kind, StrEnum | IntEnum):
        members = {member.value: member for member in kind}

        def member(data: JsonValue) -> Any:
            if isinstance(data, str | int) and data in members:
                return members[data]
            raise _UnfitError(f"{data!r} is not one of {', '.join(map(str, members))}")

        return member

    def exactly(data: JsonValue) -> Any:
        if type(data) is kind:
            return data
        if kind is float and type(data) is int:
            return float(data)
        raise _UnfitError(f"expected {kind.__name__}, got {data!r}")

    return exactly


def _many(origin: Callable[[Iterable[Any]], Any], one: Maker) -> Maker:
    def many(data: JsonValue) -> Any:
        if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
            raise _UnfitError(f"expected a list, got {data!r}")
        if one is _text and all(type(value) is str for value in data):  # nearly all lists are: without a call for each
            return origin(data)
        built = []
        for value in data:
            try:
                built.append(one(value))
            except _UnfitError as why:
                raise why.within(f"[{len(built)}]") from None
        return origin(built)

    return many


def _table(one: Maker) -> Maker:
    def table(data: JsonValue) -> Any:
        if not isinstance(data, Mapping):
            raise _UnfitError(f"expected a table, got {data!r}")
        built = {}
        for key, value in data.items():
            try:
                built[str(key)] = one(value)
            except _UnfitError as why:
                raise why.within(str(key)) from None
        return built

    return table


def _noun(kind: type[Any]) -> Maker:
    def noun(data: JsonValue) -> Any:
        if not isinstance(data, Mapping):
            raise _UnfitError(f"expected a table, got {data!r}")
        makers, required = _fields(typing.cast("Hashable", kind))
        built = {}
        for key, value in data.items():
            if key not in makers:
                raise _UnfitError(f"unknown key {key!r}; known are {', '.join(makers)}")
            try:
                built[key] = makers[key](value)
            except _UnfitError as why:
                raise why.within(key) from None
        if not required <= built.keys():
            raise _UnfitError(f"the key {min(required - built.keys())!r} is missing")
        return kind(**built)

    return noun


@functools.cache
def _fields(kind: Hashable) -> tuple[Mapping[str, Maker], frozenset[str]]:
    """How each field of a noun is built, and which have no default. Asked late: a Reply may hold a Reply."""
    noun = typing.cast("type[Any]", kind)
    required = frozenset(
        f.name
        for f in dataclasses.fields(noun)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    return {f.name: _maker(_hint(str(f.type), noun.__module__)) for f in dataclasses.fields(noun)}, required


@functools.cache
def _hint(annotation: str, module: str) -> Any:
    """The type that an annotation names: many fields have the same, and `typing.get_type_hints` reads each anew."""
    return eval(annotation, vars(sys.modules[module]))  # noqa: S307 - the source of our own nouns
