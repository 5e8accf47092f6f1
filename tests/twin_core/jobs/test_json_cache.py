import pickle
import sqlite3
import stat
from pathlib import Path

import pytest

from twin_core.domain.errors import DamagedArtifact
from twin_core.jobs.cache import open_cache


@pytest.mark.parametrize(
    "value", [1, 2.5, "text", None, True, [1, None, "a"], {"a": {"b": [1.5]}}, b"\x00secret", "x" * 3_000_000]
)
def test_a_value_comes_back_as_it_went_in(tmp_path: Path, value: object) -> None:
    with open_cache(tmp_path / "cache") as cache:
        cache.set("key", value)
        assert cache.get("key") == value


def test_a_value_that_is_not_json_is_refused(tmp_path: Path) -> None:
    with open_cache(tmp_path / "cache") as cache, pytest.raises(TypeError, match="JSON"):
        cache.set("key", object())


def test_a_key_that_would_be_pickled_is_refused(tmp_path: Path) -> None:
    with open_cache(tmp_path / "cache") as cache, pytest.raises(TypeError, match="key"):
        cache.set(("a", 1), 1)


def test_a_planted_pickle_is_never_read(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Planted:
        def __reduce__(self) -> object:
            return Path.touch, (marker,)

    with open_cache(tmp_path / "cache") as cache:
        cache.set("key", 1)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(Planted()),))
    database.close()
    with open_cache(tmp_path / "cache") as cache, pytest.raises(DamagedArtifact, match="Delete the cache folder"):
        cache.get("key")
    assert not marker.exists()


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    with open_cache(tmp_path / "cache"):
        assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
