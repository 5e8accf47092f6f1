"""How the web process's allocator keeps memory together."""

import ctypes
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Of glibc's malloc.h."""
_ARENAS = 2
_LARGE_BYTES = 1 << 20


def keep_memory_together() -> None:
    """Few heaps, and large arrays given back when they are freed; call it before threads start.

    By default glibc opens a heap for each thread and, once an array was freed, keeps the next as large in a heap.
    Measured after fifty drags, forty plans and a PDF: 300 instead of 369 MB. Elsewhere than on glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
