"""`@dataclass(frozen=True, slots=True)` with methods that are shared, not compiled anew for each class.

The standard library's writes and compiles six functions a class: 0.4 ms each time a program starts, 15 ms for the
nouns of `model`, as much as Python itself takes. This one costs 0.06 ms a class. Everything else of `dataclasses`
(`fields`, `replace`, `asdict`, `match`) works as ever; type checkers are told that it is the standard one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

__all__ = ["dataclass"]

T = TypeVar("T")
_set = object.__setattr__


def _init(self: Any, *values: Any, **named: Any) -> None:
    if values:
        named = _all_named(self, values, named)
    for name, default in self.__defaults__:
        value = named.pop(name, default)
        _set(self, name, _made(self, name) if value is dataclasses.MISSING else value)
    if named:
        raise TypeError(f"{type(self).__name__} has no {next(iter(named))!r}")


def _init_and_check(self: Any, *values: Any, **named: Any) -> None:
    _init(self, *values, **named)
    self.__post_init__()


def _all_named(self: Any, values: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    fields = self.__dataclass_fields__
    if len(values) > len(fields):
        raise TypeError(f"{type(self).__name__} takes {len(fields)} values, {len(values)} were given")
    placed = dict(zip(fields, values, strict=False))
    if twice := placed.keys() & named.keys():
        raise TypeError(f"{type(self).__name__}: {min(twice)} was given twice")
    return {**placed, **named}


def _made(self: Any, name: str) -> Any:
    """The value of a field that was not given and has no plain default."""
    factory = self.__dataclass_fields__[name].default_factory
    if factory is dataclasses.MISSING:
        raise TypeError(f"{type(self).__name__}: {name} is missing")
    return factory()


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__dataclass_fields__])


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
    return f"{type(self).__qualname__}({told})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), _values(self)


def _refuse(self: Any, name: str, value: object = None) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r}")


_METHODS = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """Decorates a noun. Both words are only there to be read, and for the type checker: they have to be true."""
        if not (frozen and slots):
            raise TypeError("nouns are frozen and have slots")

        def made(cls: type[T]) -> type[T]:
            for name, method in _METHODS.items():
                setattr(cls, name, method)
            if hasattr(cls, "__post_init__"):
                cls.__init__ = _init_and_check
            noun = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
            fields = noun.__dataclass_fields__.values()
            noun.__defaults__ = tuple((f.name, f.default) for f in fields)
            return noun

        return made
