"""A fingerprint of the data that a fit uses: the same data, the same twin."""

import hashlib
import json
from dataclasses import asdict

from twin_core.domain.history import FloatArray, Therapy


def data_hash(
    cgm_time_min: FloatArray, cgm_mg_dl: FloatArray, therapy: Therapy, *, body_weight_kg: float | None
) -> str:
    """SHA-256 of readings, events and weight, as hexadecimal; events count in order of time, not of entry."""
    events = {name: sorted(json.dumps(event) for event in kind) for name, kind in asdict(therapy).items()}
    content = {
        "cgm_time_min": cgm_time_min.tolist(),
        "cgm_mg_dl": cgm_mg_dl.tolist(),
        "therapy": events,
        "body_weight_kg": body_weight_kg,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
