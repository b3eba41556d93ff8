"""A wrapper for values that must never appear in a log line, a traceback or a pickle."""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar, final

T = TypeVar("T")


@final
class Hidden(Generic[T]):
    """Personal data or key material that hides itself.

    `repr`, `str` and `format` show only the fact that something is hidden; equality, hashing, copying by pickle
    and iteration are refused, so that a value cannot leak through a log, a set, a comparison's timing or a process
    boundary by accident. `open()` is the one way to the value: search for it to review every use.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def open(self) -> T:
        """The value. Never format the result."""
        return self._value

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<hidden>"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("hidden values are not compared; open() both on purpose")

    def __hash__(self) -> NoReturn:
        raise TypeError("hidden values are not hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("hidden values are not pickled; pass canonical bytes")

    def __iter__(self) -> NoReturn:
        raise TypeError("hidden values are not iterated")
