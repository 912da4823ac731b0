"""A part of an application that is opened when it is first needed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.errors import DatabaseUnavailable


class Closes(Protocol):
    """What has to be closed in the end."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closes)


class OpenedOnce(ABC, Generic[T]):
    """Opens it once, whoever asks first; making an application opens nothing."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._opened: T | None = None
        self._closing = threading.Event()

    @abstractmethod
    def _make(self) -> T:
        """The opened part. Raises SQLAlchemyError or OSError where it cannot be opened."""

    def open(self) -> T:
        """The opened part. Raises SQLAlchemyError or OSError where it cannot be opened."""
        with self._lock:
            if self._opened is None:
                self._opened = self._make()
            return self._opened

    def open_for_request(self) -> T:
        """As :meth:`open`, but raises :class:`DatabaseUnavailable`, which a client is told."""
        try:
            return self.open()
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseUnavailable(
                f"The database cannot be opened: {type(error).__name__}. Try again."
            ) from error

    @property
    def opened(self) -> T | None:
        """The opened part if anybody has needed it yet."""
        return self._opened

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
