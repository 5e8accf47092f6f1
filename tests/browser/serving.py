"""A real server in a process of its own with its own data folder, and where the browser is."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server."""

    url: str
    pid: int
    seconds_to_first_page: float


def browser_path() -> str | None:
    """The Chrome or Chromium to use: what BIOTWIN_BROWSER names, else what is on the PATH."""
    named = os.environ.get("BIOTWIN_BROWSER")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return named or next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """`python app.py` on a free port, with its data and its log below `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BIOTWIN_PORT": str(port), "BIOTWIN_DATA_FOLDER": str(folder / "data")}
    with (folder / "log").open("w") as log:
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_answer(url, process, folder / "log")
            yield Served(url=url, pid=process.pid, seconds_to_first_page=time.monotonic() - began)
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_answer(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not answer: {log.read_text()}")
