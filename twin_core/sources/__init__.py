"""One file a source of data; `SOURCES` lists them."""

from twin_core.domain.ports import Source
from twin_core.sources.t1d_uom import T1D_UOM

SOURCES: tuple[Source, ...] = (T1D_UOM,)
"""Every kind of data that can be imported, in the order in which they are tried."""
