"""Work that grows with input: in turns with other requests, or beside the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def taking_turns(items: Iterable[T], every: int = 200) -> Iterator[T]:
    """``items``, with a turn for every other request after each ``every`` of them.

    >>> list(taking_turns("abc", every=2))
    ['a', 'b', 'c']
    """
    for number, item in enumerate(items, start=1):
        yield item
        if number % every == 0:
            time.sleep(0)  # under eventlet: the others, and then this again


def _here(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


_run: Callable[..., Any] = _here


def use_threads(run: Callable[..., Any]) -> None:
    """Have :func:`beside_the_loop` call functions by ``run(function, *arguments)``.

    A server with an event loop says so at its start; one with a thread for each request need not.
    """
    global _run
    _run = run


def beside_the_loop(function: Callable[..., T], *arguments: Any) -> T:
    """``function(*arguments)`` in a thread of the system, for what computes and cannot take turns.

    It must not use what belongs to the event loop: sockets, or the database.
    """
    result: T = _run(function, *arguments)
    return result
