"""One background event loop for all language models, so that ordinary code can wait for answers that come side by side.

It knows nothing of models. Work that is waited for with ``wait`` is cancelled when the waiting is interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run on the shared loop and wait; an interrupt here (Ctrl-C) cancels what was asked."""
    loop = _running()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="maieutic-llm", daemon=True).start()
            atexit.register(_loop.call_soon_threadsafe, _loop.stop)
        return _loop


def _after_fork() -> None:
    """A forked child has the loop but not its thread, and perhaps a lock that nobody will release: begin anew."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
