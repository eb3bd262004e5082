"""`@dataclass(frozen=True, slots=True)` that costs next to nothing until it is used.

The standard library's writes and compiles six functions a class, and looks at every field: 0.4 ms each time a program
starts, 15 ms for the nouns of `model`, as much as Python itself takes. Here the functions are shared, and the standard
library makes the fields when somebody asks for them. Everything of `dataclasses` (`fields`, `replace`, `asdict`,
`match`) works as ever; type checkers are told that it is the standard one. A noun is not made from another noun.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

__all__ = ["dataclass"]

T = TypeVar("T")
_set = object.__setattr__
_Field = dataclasses.Field


def _init(self: Any, *values: Any, **named: Any) -> None:
    if values:
        _place(self, values, named)
    for name, default in self.__defaults__[len(values) :]:
        value = named.pop(name, default)
        _set(self, name, _made(self, name, default) if value is default and type(default) is _Field else value)
    if named:
        raise TypeError(f"{type(self).__name__} has no {next(iter(named))!r}")


def _init_and_check(self: Any, *values: Any, **named: Any) -> None:
    _init(self, *values, **named)
    self.__post_init__()


def _place(self: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
    """The values that were given by their place."""
    names = self.__slots__
    if len(values) > len(names):
        raise TypeError(f"{type(self).__name__} takes {len(names)} values, {len(values)} were given")
    for name, value in zip(names, values, strict=False):
        if name in named:
            raise TypeError(f"{type(self).__name__}: {name} was given twice")
        _set(self, name, value)


def _made(self: Any, name: str, field: dataclasses.Field[Any]) -> Any:
    """The value of a field that was not given and has no plain default."""
    if field.default_factory is dataclasses.MISSING:
        raise TypeError(f"{type(self).__name__}: {name} is missing")
    return field.default_factory()


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__slots__])


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
    return f"{type(self).__qualname__}({told})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), _values(self)


def _refuse(self: Any, name: str, value: object = None) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r}")


class _Fields:
    """A noun's `__dataclass_fields__`, until they are asked for: what the standard library makes of the plain class."""

    def __init__(self, plain: type) -> None:
        self._plain = plain

    def __get__(self, noun: object, kind: Any) -> Any:
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(self._plain)
        kind.__dataclass_fields__ = made.__dataclass_fields__
        return kind.__dataclass_fields__


_METHODS = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
_REQUIRED: Any = dataclasses.field()


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """Decorates a noun. Both words are only there to be read, and for the type checker: they have to be true."""
        if not (frozen and slots):
            raise TypeError("nouns are frozen and have slots")

        def made(plain: type[T]) -> type[T]:
            if any(hasattr(base, "__defaults__") for base in plain.__bases__):
                raise TypeError(f"{plain.__name__}: a noun is not made from another noun")
            has = dict(vars(plain))
            names = tuple(has.get("__annotations__", ()))
            has["__defaults__"] = tuple((name, has.pop(name, _REQUIRED)) for name in names)
            for name in ("__dict__", "__weakref__"):
                has.pop(name, None)
            has |= _METHODS
            if "__post_init__" in has:
                has["__init__"] = _init_and_check
            has |= {"__slots__": names, "__match_args__": names, "__dataclass_fields__": _Fields(plain)}
            noun = type(plain)(plain.__name__, plain.__bases__, has)
            noun.__qualname__ = plain.__qualname__
            return noun

        return made
