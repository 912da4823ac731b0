"""Fixtures of an application with an administrator and a member."""

from tests.support.admin import admin, app, make_app, people, quick_hashes, store

__all__ = ["admin", "app", "make_app", "people", "quick_hashes", "store"]
