import subprocess
import sys
from pathlib import Path

import pytest

from twin_core.bootstrap import hold
from twin_core.domain.errors import BadInput

TAKE = "import sys; from pathlib import Path; from twin_core.bootstrap import hold; hold(Path(sys.argv[1]))"
ROOT = Path(__file__).resolve().parents[2]


def taken_by_another(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", TAKE, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_servers_do_not_share_a_data_folder(tmp_path: Path) -> None:
    with hold(tmp_path):
        other = taken_by_another(tmp_path)
        assert other.returncode != 0
        assert "Another Biotwin is using the data folder" in other.stderr
    assert taken_by_another(tmp_path).returncode == 0


def test_a_data_folder_that_cannot_be_taken_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("taken")

    monkeypatch.setattr("twin_core.bootstrap.fcntl.lockf", refuse)
    with pytest.raises(BadInput, match="BIOTWIN_DATA_FOLDER"):
        hold(tmp_path)
