"""The result cache: diskcache with a `Disk` that never reads or writes pickle.

diskcache 5.6.3 unpickles what it finds in its folder (CVE-2025-69872, no fixed release): whoever can write there
could run code here. This `Disk` stores JSON text only, refuses everything else, and the folder is closed to others.
"""

import base64
import json
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW, MODE_TEXT

from twin_core.domain.errors import DamagedArtifact

_BYTES = "__bytes__"


class JsonDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are strings or numbers; values are JSON, with bytes in base64."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """Store a key; anything but text, bytes and numbers is refused."""
        if type(key) not in (str, bytes, int, float):
            raise TypeError(f"A cache key is text, bytes or a number; got {type(key).__name__}.")
        return super().put(key)  # type: ignore[no-any-return]

    def get(self, key: Any, raw: bool) -> Any:
        """Read a key back; a pickled one is refused."""
        if not raw:
            raise DamagedArtifact("The cache holds a pickled key, which is never read. Delete the cache folder.")
        return super().get(key, raw)

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        """Store a value as JSON text."""
        if read:
            raise TypeError("The cache stores values, not open files.")
        return super().store(json.dumps(value, default=_encoded, allow_nan=True), False, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Read a value back; a pickled one is refused."""
        if mode not in (MODE_RAW, MODE_TEXT, MODE_BINARY):
            raise DamagedArtifact("The cache holds a pickled value, which is never read. Delete the cache folder.")
        return json.loads(super().fetch(mode, filename, value, read), object_hook=_decoded)


def open_cache(folder: Path) -> diskcache.Cache:
    """Open the cache in a folder that only this user can read (mode 0700)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return diskcache.Cache(str(folder), disk=JsonDisk, disk_min_file_size=2**20, size_limit=2**28)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    raise TypeError(f"The cache stores JSON; got {type(value).__name__}.")


def _decoded(value: dict[str, Any]) -> Any:
    return base64.b64decode(value[_BYTES]) if set(value) == {_BYTES} else value
