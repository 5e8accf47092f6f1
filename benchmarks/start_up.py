"""How long from `python app.py` to the first answered page, how much memory, and that no tensorflow is imported."""

import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil

from tests.browser.serving import ROOT, serving

PAGES = ("/", "/today", "/what-if", "/dosing")


def main() -> None:
    """Print start-up time and memory of the web process, first on an empty and then on a filled data folder."""
    with tempfile.TemporaryDirectory() as folder:
        for state in ("empty data folder, demo imported at start", "data folder as left by a run before"):
            with serving(Path(folder)) as served:
                for page in PAGES:
                    urllib.request.urlopen(served.url + page).read()
                megabytes = psutil.Process(served.pid).memory_info().rss / 1e6
            print(
                f"{state}: first page answered after {served.seconds_to_first_page:.2f} s, {megabytes:.0f} MB resident"
            )
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import app"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [line.rpartition("|")[2].strip() for line in imported.stderr.splitlines()]
    heavy = [name for name in names if name.split(".")[0] in ("tensorflow", "keras")]
    print(f"python -X importtime -c 'import app': {len(names)} modules, of tensorflow and keras: {len(heavy)}")
