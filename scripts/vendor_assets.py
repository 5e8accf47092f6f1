"""Lay the front-end files that Biotwin ships into `assets/`, from the packages as published.

    python scripts/vendor_assets.py FOLDER

`FOLDER` holds the tarballs that `npm pack NAME@VERSION` writes, one of each name in `FILES`. Prints the rows of
the table in `assets/vendor/README.md`; the test suite compares the files with that table.
"""

import hashlib
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def as_published(content: bytes) -> bytes:
    """The file unchanged."""
    return content


def in_a_cascade_layer(stylesheet: bytes) -> bytes:
    """The stylesheet inside `@layer bootstrap`, without its pointer to a source map that is not shipped.

    Dash links stylesheets by folder, the root first, so a vendored one would come after the project's own and win.
    Rules outside any layer win over a layer whatever the order.
    """
    charset = b'@charset "UTF-8";'
    rules = stylesheet.removeprefix(charset).partition(b"/*# sourceMappingURL=")[0].rstrip()
    return charset + b"@layer bootstrap{" + rules + b"}\n"


class Vendored(NamedTuple):
    """One shipped file: the tarball and member it comes from, where it goes, and what is changed."""

    package: str
    member: str
    target: str
    change: Callable[[bytes], bytes] = as_published


FILES = (
    Vendored("plotly.js-cartesian-dist-min", "plotly-cartesian.min.js", "vendor/plotly/plotly-cartesian.min.js"),
    Vendored("plotly.js-cartesian-dist-min", "LICENSE", "vendor/plotly/LICENSE"),
    Vendored("bootstrap", "dist/css/bootstrap.min.css", "vendor/bootstrap/bootstrap.min.css", in_a_cascade_layer),
    Vendored("bootstrap", "LICENSE", "vendor/bootstrap/LICENSE"),
    Vendored("fontsource-variable-inter", "files/inter-latin-wght-normal.woff2", "fonts/inter-latin-wght-normal.woff2"),
    Vendored("fontsource-variable-inter", "LICENSE", "fonts/LICENSE"),
)


def read_member(folder: Path, file: Vendored) -> bytes:
    """The content of one member of the only tarball of its package in `folder`."""
    found = sorted(folder.glob(f"{file.package}-[0-9]*.tgz"))
    if len(found) != 1:
        raise SystemExit(f"{folder} must hold one {file.package}-VERSION.tgz; got {[path.name for path in found]}.")
    with tarfile.open(found[0]) as tarball:
        member = tarball.extractfile(f"package/{file.member}")
        if member is None:
            raise SystemExit(f"{found[0].name} has no file package/{file.member}.")
        return member.read()


def main(folder: Path) -> None:
    """Write every file and print its row of the table."""
    for file in FILES:
        content = file.change(read_member(folder, file))
        target = ASSETS / file.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        print(f"| `{file.target}` | {len(content):,} | `{hashlib.sha256(content).hexdigest()}` |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
