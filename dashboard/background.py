"""Background callbacks: a bounded number of worker processes, the rest wait in a visible queue.

Dash's own `DiskcacheManager` starts one process a call without bound (40 calls, 40 processes). This one hands out
tickets: a thread of a fixed pool starts the process when a slot is free, and until then writes the ticket's place
in the queue as its progress. The progress outputs of every background callback are `(percent, sentence)`.
"""

import ctypes
import itertools
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dash import DiskcacheManager
from multiprocess import Pipe, Process

RESULT_GRACE_S = 2.0
START_S = 10.0
"""A worker that has not reached the cache by then is taken to be stuck in a lock that another thread held when it was
forked (SQLite's, say), and started anew."""
MOST_STARTS = 4
_PR_SET_PDEATHSIG = 1


class BoundedDiskcacheManager(DiskcacheManager):
    """A `DiskcacheManager` with at most `slots` worker processes at a time.

    Parameters
    ----------
    cache
        A diskcache `Cache` whose `Disk` never pickles.
    slots
        Worker processes that may run at once.
    before_start
        Called in the server before a worker is forked, such as to wait until compiled code is ready.
    """

    def __init__(self, cache: Any, slots: int, before_start: Callable[[], object]) -> None:
        super().__init__(cache)
        self._before_start = before_start
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="background-slot")
        self._tickets = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: list[int] = []
        self._processes: dict[int, Process] = {}
        self._finished_at: dict[int, float] = {}

    def call_job_fn(self, key: str, job_fn: Any, args: Any, context: Any) -> int:
        """Queue a job and return its ticket."""
        progress_key = self._make_progress_key(key)
        with self._lock:
            ticket = next(self._tickets)
            self._waiting.append(ticket)
            ahead = len(self._waiting) + len(self._processes) - 1
        if ahead:
            self.handle.set(progress_key, ["0", f"Waiting: {ahead} before this one."])
        self._pool.submit(self._run, ticket, job_fn, (key, progress_key, args, context))
        return ticket

    def _run(self, ticket: int, job_fn: Any, arguments: tuple[Any, ...]) -> None:
        self._before_start()
        with self._lock:
            if ticket not in self._waiting:
                return
            self._waiting.remove(ticket)
            process, begun = self._started(ticket, job_fn, arguments)
        for _ in range(MOST_STARTS - 1):
            if begun.poll(START_S):
                break
            process.kill()
            process.join()
            with self._lock:
                process, begun = self._started(ticket, job_fn, arguments)
        process.join()
        with self._lock:
            self._processes.pop(ticket, None)
            self._finished_at[ticket] = time.monotonic()

    def _started(self, ticket: int, job_fn: Any, arguments: tuple[Any, ...]) -> tuple[Process, Any]:
        """A worker, and the end of a pipe that has something to read once it runs or is gone."""
        begun, tell = Pipe(duplex=False)
        process = Process(target=_in_worker, args=(tell, self.handle, job_fn, arguments), daemon=True)
        self._processes[ticket] = process
        process.start()
        tell.close()
        return process, begun

    def job_running(self, job: Any) -> bool:
        """Whether a ticket waits, its process lives, or it ended so lately that its result may not be read yet.

        Dash asks for the result first and for this second; without the grace a job that ends in between counts as
        cancelled and its result is never shown.
        """
        ticket = int(job or 0)
        with self._lock:
            fresh = time.monotonic() - self._finished_at.get(ticket, -math.inf) < RESULT_GRACE_S
            return ticket in self._waiting or ticket in self._processes or fresh

    def terminate_job(self, job: Any) -> None:
        """End a ticket: out of the queue, or its process killed."""
        ticket = int(job or 0)
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            process = self._processes.get(ticket)
        if process is not None:
            process.kill()

    def terminate_unhealthy_job(self, job: Any) -> bool:
        """Whether a ticket's process is gone without a result."""
        return not self.job_running(job)

    def counts(self) -> Mapping[str, int]:
        """How many jobs run and how many wait."""
        with self._lock:
            return {"running": len(self._processes), "waiting": len(self._waiting)}


def _in_worker(tell: Any, cache: Any, job_fn: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Run a job in a worker that ends with its server, however that ends: it has inherited the server's socket."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    cache.get("")
    tell.send_bytes(b"begun")
    job_fn(*arguments)
