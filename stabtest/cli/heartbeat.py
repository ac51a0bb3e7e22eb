"""A sign of life where output is lines: what is under way and for how long, where nothing was said for a while.

A log that grows by a line for each finished unit is silent while a unit takes an hour, and some runners of jobs end what is silent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

QUIET = 60.0
"""Seconds without a line after which one is written."""


class Heartbeat:
    """Knows what is under way and when something was said last.

    Parameters
    ----------
    say
        Writes a line.
    clock
        Gives the time in seconds.

    Examples
    --------
    >>> now = [0.0]
    >>> beat = Heartbeat(print, clock=lambda: now[0])
    >>> beat.began("worst_case: net, head 3")
    >>> now[0] = 150.0
    >>> beat.remind()
    still at it: worst_case: net, head 3, for 2 min
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock, self._lock = say, clock, threading.Lock()
        self._since: dict[str, float] = {}
        self._last = clock()

    def began(self, what: str) -> None:
        """Something is under way."""
        with self._lock:
            self._since[what] = self._clock()

    def ended(self, what: str) -> None:
        """It is no longer."""
        with self._lock:
            self._since.pop(what, None)

    def say(self, line: str) -> None:
        """Write a line."""
        with self._lock:
            self._last = self._clock()
            self._say(line)

    def remind(self) -> None:
        """Write what is under way, if nothing was written for a while; the longest first."""
        with self._lock:
            now = self._clock()
            if not self._since or now - self._last < QUIET:
                return
            self._last = now
            what, since = min(self._since.items(), key=lambda item: item[1])
            more = f" (and {len(self._since) - 1} more)" if len(self._since) > 1 else ""
            self._say(f"still at it: {what}, for {(now - since) // 60:.0f} min{more}")


@contextmanager
def beating(say: Callable[[str], None]) -> Generator[Heartbeat]:
    """A heartbeat while the block runs.

    Parameters
    ----------
    say
        Writes a line; is called from another thread too, never twice at once.
    """
    beat, over = Heartbeat(say), threading.Event()

    def run() -> None:
        while not over.wait(QUIET / 4):
            beat.remind()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        over.set()
        thread.join()
