"""How far an audit is, with the time left: a bar in a terminal, one line a unit elsewhere.

Units differ by orders of magnitude, so that their number says little. The time of a unit that is still to come is the mean of
those of its kind (same test and method) that are done; failing that, what its test usually costs beside the others.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from stabtest.audit.engine import Event
    from stabtest.audit.plan import Unit

_USUAL = {"quality": 1.0, "worst_case": 60.0, "structure": 4.0, "sampling": 3.0, "lipschitz": 10.0}
"""Relative costs of the tests, before any is known."""


class TimeLeft:
    """Estimates what the units of a plan will still take.

    Parameters
    ----------
    units
        All of the plan.
    workers
        How many run at once.
    """

    def __init__(self, units: Sequence[Unit], *, workers: int = 1) -> None:
        self._left = {unit.key: unit for unit in units}
        self._workers = max(workers, 1)
        self._of_kind: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._of_test: dict[str, list[float]] = defaultdict(list)
        self.spent = 0.0

    def done(self, unit: Unit, seconds: float | None) -> None:
        """A unit is finished; ``seconds`` is None if it was found and not measured."""
        self._left.pop(unit.key, None)
        if seconds is not None:
            self._of_kind[unit.test, unit.method].append(seconds)
            self._of_test[unit.test].append(seconds)
            self.spent += seconds

    def seconds(self) -> float | None:
        """Estimated wall time left; None before anything was measured."""
        return None if not self._of_kind else sum(map(self._estimate, self._left.values())) / self._workers

    def share(self) -> float:
        """Estimated share of the time that is spent."""
        left = self.seconds()
        if not self._left:
            return 1.0
        return 0.0 if left is None else self.spent / (self.spent + left * self._workers)

    def _estimate(self, unit: Unit) -> float:
        known = self._of_kind.get((unit.test, unit.method))
        if known:
            return sum(known) / len(known)
        paces = [_mean(values) / _USUAL.get(test, 1.0) for test, values in self._of_test.items()]
        if unit.test in self._of_test:
            return _mean(self._of_test[unit.test])
        return _USUAL.get(unit.test, 1.0) * _mean(paces)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


@contextmanager
def shown(units: Sequence[Unit], *, console: Console, workers: int = 1) -> Generator[Callable[[Event], None]]:
    """Show progress while the block runs.

    Parameters
    ----------
    units
        All of the plan.
    console
        Where it is shown.
    workers
        How many run at once.

    Yields
    ------
    callable
        To be given to `stabtest.audit.run`.
    """
    left = TimeLeft(units, workers=workers)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            yield _Bars(bars, left, len(units))
    else:
        yield _Lines(console, left, len(units))


class _Bars:
    """A bar for the whole, and what is under way beside it."""

    def __init__(self, bars: Progress, left: TimeLeft, total: int) -> None:
        self._bars, self._left, self._total, self._count = bars, left, total, 0
        self._task = bars.add_task("starting", total=1.0, done=f"0/{total}", left="")
        self._shown = 0.0

    def __call__(self, event: Event) -> None:
        if event.state in ("finished", "resumed", "failed"):
            self._count += 1
            self._left.done(event.unit, event.seconds if event.state == "finished" else None)  # pyright: ignore[reportArgumentType]
        elif event.state == "step" and time.monotonic() - self._shown < 0.2:
            return
        self._shown = time.monotonic()
        words = event.unit.label + (f" {event.share:.0%}" if event.state == "step" else "")
        done, left = f"{self._count}/{self._total}", words_for(self._left.seconds())
        self._bars.update(self._task, description=words, completed=self._left.share(), done=done, left=left)


class _Lines:
    """One line for each unit."""

    def __init__(self, console: Console, left: TimeLeft, total: int) -> None:
        self._console, self._left, self._total, self._count = console, left, total, 0

    def __call__(self, event: Event) -> None:
        if event.state not in ("finished", "resumed", "failed"):
            return
        self._count += 1
        self._left.done(event.unit, event.seconds if event.state == "finished" else None)  # pyright: ignore[reportArgumentType]
        how = {"finished": f"{event.seconds:.1f} s", "resumed": "found", "failed": f"FAILED: {event.error}"}[event.state]
        left = words_for(self._left.seconds()) if self._count < self._total else ""
        line = f"[{self._count}/{self._total}] {event.unit.label}: {how}" + (f", {left}" if left else "")
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def words_for(seconds: float | None) -> str:
    """Time left in words.

    Examples
    --------
    >>> words_for(None), words_for(42), words_for(200), words_for(8000)
    ('', 'about 42 s left', 'about 3 min left', 'about 2.2 h left')
    """
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"
