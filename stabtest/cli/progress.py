"""How far an audit is, with the time left: a bar in a terminal, one line a unit elsewhere. What comes before the first unit is named too.

Units differ by orders of magnitude, so that their number says little. The time of a unit that is still to come is the mean of
those of its kind (same test and method) that are done, failing that of its test; of one that is under way, what its own
progress says. While nothing is known of a test that is to come, no time is given.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stabtest.cli.heartbeat import Heartbeat, beating

if TYPE_CHECKING:
    from stabtest.audit.units.engine import Event
    from stabtest.audit.units.plan import Unit


class TimeLeft:
    """Estimates what the units of a plan will still take.

    Parameters
    ----------
    units
        All of the plan.
    workers
        How many run at once.
    clock
        Gives the time in seconds.
    """

    def __init__(self, units: Sequence[Unit], *, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = {unit.key: unit for unit in units}
        self._workers, self._clock = max(workers, 1), clock
        self._of_kind: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._of_test: dict[str, list[float]] = defaultdict(list)
        self._started: dict[str, float] = {}
        self._under_way: dict[str, float] = {}
        self.spent = 0.0

    def see(self, event: Event) -> None:
        """Take note of what happened to a unit."""
        unit = cast("Unit", event.unit)
        if event.state == "started":
            self._started[unit.key] = self._clock()
        elif event.state == "step":
            if event.share > 0:
                self._under_way[unit.key] = (self._clock() - self._started.get(unit.key, self._clock())) / event.share
        else:
            self._left.pop(unit.key, None)
            self._under_way.pop(unit.key, None)
            if event.state == "finished":
                self._of_kind[unit.test, unit.method].append(event.seconds)
                self._of_test[unit.test].append(event.seconds)
                self.spent += event.seconds

    def seconds(self) -> float | None:
        """Estimated wall time left; None while a test is to come of which nothing is known."""
        total = 0.0
        for unit in self._left.values():
            known = self._of_kind.get((unit.test, unit.method)) or self._of_test.get(unit.test)
            if unit.key in self._under_way:
                whole = self._under_way[unit.key]
                total += max(whole - (self._clock() - self._started.get(unit.key, self._clock())), 0.0)
            elif known:
                total += sum(known) / len(known)
            else:
                return None
        return total / self._workers

    def share(self) -> float | None:
        """Estimated share of the time that is spent; None if not known."""
        left = self.seconds()
        if left is None:
            return None
        return self.spent / (self.spent + left * self._workers) if self._left else 1.0


@contextmanager
def shown(units: Sequence[Unit], *, console: Console, workers: int = 1) -> Generator[_Bars | _Lines]:
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
        To be given to `stabtest.audit.run` as ``progress``; its ``tell`` is told what comes before the units.
    """
    left = TimeLeft(units, workers=workers)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            yield _Bars(bars, left, len(units))
    else:
        with beating(partial(_line, console)) as beat:
            yield _Lines(beat, left, len(units))


@contextmanager
def naming(console: Console) -> Generator[Callable[[str], None]]:
    """Name what is being done: beside a moving bar and the time in a terminal, a line each elsewhere.

    Parameters
    ----------
    console
        Where it is shown.

    Yields
    ------
    callable
        Is given the words.
    """
    if not console.is_terminal:
        with beating(partial(_line, console)) as beat:
            yield _Doing(beat)
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda words: bars.update(task, description=words)


def _line(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Doing:
    """One line for each thing that is begun; the one before is done then."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat, self._now = beat, ""

    def __call__(self, words: str) -> None:
        self._beat.ended(self._now)
        self._now = words
        self._beat.say(f"{words} ...")
        self._beat.began(words)

    def done(self) -> None:
        """Nothing follows."""
        self._beat.ended(self._now)


@contextmanager
def bounding(console: Console) -> Generator[Callable[[str, int, int], None]]:
    """Show how far the slowest of the upper bounds is: a bar in a terminal, a line for each bound elsewhere.

    Parameters
    ----------
    console
        Where it is shown.

    Yields
    ------
    callable
        ``(what, done, planned)``.
    """
    if not console.is_terminal:
        with beating(partial(_line, console)) as beat:
            said, doing = set[str](), _Doing(beat)

            def say(what: str, done: int, planned: int) -> None:
                if what not in said:
                    said.add(what)
                    doing(what)

            yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("bounding", total=1)

        def tell(what: str, done: int, planned: int) -> None:
            bars.update(task, description=what, completed=done, total=planned)

        yield tell


class _Bars:
    """A bar for the whole, and what is under way beside it."""

    def __init__(self, bars: Progress, left: TimeLeft, total: int) -> None:
        self._bars, self._left, self._total, self._count = bars, left, total, 0
        self._task = bars.add_task("starting", total=None, done=f"0/{total}", left="")  # the bar moves while nothing is known
        self._shown = 0.0

    def tell(self, words: str) -> None:
        """What is done before the first unit."""
        self._bars.update(self._task, description=words)

    def __call__(self, event: Event) -> None:
        self._left.see(event)
        if event.state in ("finished", "resumed", "failed"):
            self._count += 1
        elif event.state == "step" and time.monotonic() - self._shown < 0.2:
            return
        self._shown = time.monotonic()
        words = event.unit.label + (f" {event.share:.0%}" if event.state == "step" else "")
        done, left = f"{self._count}/{self._total}", words_for(self._left.seconds())
        self._bars.update(self._task, description=words, total=1.0, completed=self._completed(), done=done, left=left)

    def _completed(self) -> float:
        share = self._left.share()
        return self._count / self._total if share is None else share


class _Lines:
    """One line for each unit."""

    def __init__(self, beat: Heartbeat, left: TimeLeft, total: int) -> None:
        self._beat, self._left, self._total, self._count = beat, left, total, 0
        self.tell = _Doing(beat)
        """Is told what is done before the first unit."""

    def __call__(self, event: Event) -> None:
        self.tell.done()
        self._left.see(event)
        if event.state == "started":
            self._beat.began(event.unit.label)
        if event.state not in ("finished", "resumed", "failed"):
            return
        self._count += 1
        self._beat.ended(event.unit.label)
        how = {"finished": f"{event.seconds:.1f} s", "resumed": "found", "failed": f"FAILED: {event.error}"}[event.state]
        left = words_for(self._left.seconds()) if self._count < self._total else ""
        line = f"[{self._count}/{self._total}] {event.unit.label}: {how}" + (f", {left}" if left else "")
        self._beat.say(line)


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
