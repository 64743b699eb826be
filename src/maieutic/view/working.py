"""One thread for everything that runs a model, so that passes never run side by side: what is asked for goes first.

Nothing is kept here: whoever asks keeps the answer.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

#: what a reader waits for, and what only prepares
ASKED, LATER = 0, 1
_LAST = 9


class Worker:
    """``submit`` gives a future; of what waits, what somebody asked for is done before what only prepares."""

    def __init__(self) -> None:
        self._waiting: queue.PriorityQueue[tuple[int, int, Callable[[], Any] | None, Future[Any]]] = (
            queue.PriorityQueue()
        )
        self._number = itertools.count()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, work: Callable[[], Any], *, priority: int = ASKED) -> Future[Any]:
        """Do some work in its turn."""
        done: Future[Any] = Future()
        with self._lock:
            if self._closed:
                done.cancel()
                return done
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="models", daemon=True)
                self._thread.start()
        self._waiting.put((priority, next(self._number), work, done))
        return done

    def _work(self) -> None:
        while True:
            _, _, work, done = self._waiting.get()
            if work is None:
                return
            if self._closed or not done.set_running_or_notify_cancel():
                done.cancel()
                continue
            try:
                done.set_result(work())
            except BaseException as error:  # the one who asked is told
                done.set_exception(error)

    def close(self) -> None:
        """Do nothing more; what is under way goes on to its end by itself."""
        with self._lock:
            self._closed = True
        self._waiting.put((_LAST, next(self._number), None, Future()))
