"""Held-out forecasts as one long table: a row for each person, origin and horizon, for whoever scores them anew."""

from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.forecast.evaluation import HeldOut

_CHUNK_ROWS = 4000


def write(held: HeldOut, file: Path) -> int:
    """Write the table as Parquet, a few thousand origins at a time; returns how many rows there are.

    Columns: `person`, `origin_utc`, `horizon_min`, `p05` to `p95`, `mean`, `observed_mg_dl` (null without a reading),
    `persistence_mg_dl`; glucose in mg/dL.
    """
    import pyarrow
    import pyarrow.parquet

    writer, rows = None, 0
    try:
        for begin in range(0, len(held.sample.persons), _CHUNK_ROWS):
            chunk = pyarrow.table(_columns(held, slice(begin, begin + _CHUNK_ROWS)))
            writer = writer or pyarrow.parquet.ParquetWriter(file, chunk.schema)
            writer.write_table(chunk)
            rows += chunk.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _columns(held: HeldOut, chosen: slice) -> dict[str, Any]:
    import pyarrow

    sample, said = held.sample, held.shipped
    quantiles = said.quantiles_mg_dl
    assert quantiles is not None
    n_horizons = len(HORIZONS_MIN)
    seconds = np.rint(sample.origins_min[chosen] * 60.0).astype("datetime64[s]")
    observed = sample.observed_mg_dl[chosen].ravel()
    return {
        "person": np.repeat(sample.persons[chosen].astype(object), n_horizons),
        "origin_utc": np.repeat(seconds, n_horizons),
        "horizon_min": np.tile(np.array(HORIZONS_MIN, dtype=np.int16), len(seconds)),
        **{
            f"p{round(100 * level):02d}": quantiles[chosen, :, place].ravel().astype(np.float32)
            for place, level in enumerate(QUANTILE_LEVELS)
        },
        "mean": said.mean_mg_dl[chosen].ravel().astype(np.float32),
        "observed_mg_dl": pyarrow.array(observed, mask=~np.isfinite(observed), type=pyarrow.float32()),
        "persistence_mg_dl": np.repeat(sample.now_mg_dl[chosen], n_horizons).astype(np.float32),
    }
