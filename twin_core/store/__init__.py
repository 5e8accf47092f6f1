"""The SQLAlchemy implementation of the store port."""

from twin_core.store.sqlite import SqliteStore

__all__ = ["SqliteStore"]
