"""A child process that ends when its parent does, however the parent ends."""

import os
import signal
import threading
import time
from typing import Final

POLL_SECONDS: Final = 0.25


def end_with_parent(parent: int | None) -> None:
    """From now on send this process SIGTERM once `parent`, a process id, is not its parent.

    An orphan gets another parent at once, so this needs no help from the system or the parent, and
    works also where the parent was killed. Without a parent nothing is done.
    """
    if parent is None:
        return
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
