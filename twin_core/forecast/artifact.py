"""A trained forecaster on disk: numbers in an `.npz` without pickle, everything else in `manifest.json` beside it."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import DamagedArtifact

SHIPPED = Path(__file__).parent / "weights"
ARRAYS_FILE, MANIFEST_FILE = "forecaster.npz", "manifest.json"


def save(folder: Path, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write arrays and manifest; the manifest as written, with the arrays' SHA-256 and the model's version."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
    digest = _sha256(folder / ARRAYS_FILE)
    written = {"model_version": f"stack-{digest[:8]}", "sha256": digest, **manifest}
    (folder / MANIFEST_FILE).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return written


def load(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and manifest of a folder.

    Raises
    ------
    DamagedArtifact
        A file is missing or unreadable, or the arrays are not those of which the manifest speaks.
    """
    manifest = manifest_of(folder)
    try:
        found = _sha256(folder / ARRAYS_FILE)
        if found != manifest["sha256"]:
            raise DamagedArtifact(
                f"{ARRAYS_FILE} has SHA-256 {found}, its manifest says {manifest['sha256']}. "
                "Install the package again, or train anew."
            )
        with np.load(folder / ARRAYS_FILE, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}, manifest
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DamagedArtifact(f"{folder / ARRAYS_FILE} cannot be read: {error}. Train anew.") from error


def manifest_of(folder: Path) -> dict[str, Any]:
    """What the manifest of a folder says; `DamagedArtifact` when it cannot be read or lacks what is needed."""
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{path} cannot be read: {error}. Train anew.") from error
    if not isinstance(manifest, dict) or not {"sha256", "model_version", "features"} <= manifest.keys():
        raise DamagedArtifact(f"{path} lacks sha256, model_version or features. Train anew.")
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
