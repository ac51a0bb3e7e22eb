"""Running independent units: one after the other, in several processes with one thread each, or on a cluster.

A process that is one of several must not use several threads: two that fight over a core are far slower than one, and
``make_measure`` sees to that. The order of the results never
matters: a unit draws its random numbers from its own seed. An exception in a unit is a failure of that unit, recorded and not
stored, so that the next run of the same audit tries it again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from stabtest.audit.units.store import Result, Store
from stabtest.errors import StabtestError


class UnitLike(Protocol):
    """What the engine needs to know of a unit."""

    @property
    def key(self) -> str:
        """Content address of the result."""
        ...

    @property
    def label(self) -> str:
        """Name for people."""
        ...

    @property
    def case(self) -> str:
        """What is measured; a process that has made it can measure the next unit of it at once."""
        ...


Step = Callable[[float], None]
"""Called inside a unit with the share (0 to 1) that is done."""
Measure = Callable[[UnitLike, Step], Result]
"""Measures one unit."""
MakeMeasure = Callable[[], Measure]
"""Sets a process up (loads networks) and gives its `Measure`; must be picklable for more than one process."""


@dataclass(frozen=True)
class Event:
    """Something happened to a unit.

    Parameters
    ----------
    unit
        Which.
    state
        ``resumed`` = found in the store; ``step`` = under way (``share`` says how far; sequential runs only).
    share
        Share of this unit that is done.
    seconds
        What the unit took, once it is finished.
    error
        Why it failed.
    """

    unit: UnitLike
    state: Literal["started", "step", "finished", "resumed", "failed"]
    share: float = 0.0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Ran:
    """What a run did: units found, measured, and failed (label and error)."""

    resumed: int
    measured: int
    failures: tuple[tuple[str, str], ...]


def run_units(
    units: Sequence[UnitLike],
    make_measure: MakeMeasure,
    store: Store,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    gpu: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> Ran:
    """Measure every unit that the store does not hold.

    Parameters
    ----------
    units
        What to measure.
    make_measure
        Called once in each process.
    store
        Where results are found and put.
    workers
        Number of processes; 0 or 1 = this one.
    scheduler
        Address of a Dask scheduler whose workers measure instead.
    gpu
        With ``scheduler``: whether units need a GPU.
    progress
        Told of every `Event`.

    Returns
    -------
    Ran
        Counts and failures, the failures in the order of ``units``.

    Raises
    ------
    AuditError
        If results cannot be written, or the cluster cannot measure these units.
    KeyboardInterrupt
        If interrupted; what is stored stays.
    """
    tell = progress or _silent
    missing: list[UnitLike] = []
    for unit in units:
        if store.get(unit.key) is None:
            missing.append(unit)
        else:
            tell(Event(unit, "resumed", share=1.0))
    if scheduler is not None and missing:
        from stabtest.audit.units.cluster import measure_on_cluster

        measured = measure_on_cluster(missing, make_measure, store, scheduler, tell, gpu=gpu)
    elif workers > 1:
        measured = _in_processes(missing, make_measure, store, workers, tell)
    else:
        measured = _here(missing, make_measure, store, tell)
    errors: dict[str, str] = {}
    for event in measured:
        tell(event)
        if event.state == "failed":
            errors[event.unit.key] = event.error
    failures = tuple((unit.label, errors[unit.key]) for unit in units if unit.key in errors)
    return Ran(resumed=len(units) - len(missing), measured=len(missing) - len(failures), failures=failures)


def _silent(event: Event) -> None:
    pass


def _here(units: Iterable[UnitLike], make_measure: MakeMeasure, store: Store, tell: Callable[[Event], None]) -> Iterator[Event]:
    measure: Measure | None = None
    for unit in units:
        measure = measure or make_measure()
        tell(Event(unit, "started"))
        yield _measure_one(unit, measure, store, lambda share, unit=unit: tell(Event(unit, "step", share=share)))


def _measure_one(unit: UnitLike, measure: Measure, store: Store, step: Step) -> Event:
    """Measure and store one unit; only a store that cannot be written ends the audit."""
    start = time.perf_counter()
    try:
        result = measure(unit, step)
    except StabtestError as error:
        return Event(unit, "failed", share=1.0, seconds=time.perf_counter() - start, error=str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({last.filename.rpartition('/')[2]}, line {last.lineno})"
        return Event(unit, "failed", share=1.0, seconds=time.perf_counter() - start, error=text)
    seconds = time.perf_counter() - start
    store.put(unit.key, unit.label, replace(result, seconds=seconds))
    return Event(unit, "finished", share=1.0, seconds=seconds)


_measure: Measure | None = None
"""The `Measure` of a worker process; set once by `_start_worker`, never in the parent."""


def _start_worker(make_measure: MakeMeasure) -> None:
    global _measure
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _measure = make_measure()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(unit: UnitLike, store: Store) -> Event:
    assert _measure is not None
    return _measure_one(unit, _measure, store, lambda share: None)


def _in_processes(
    units: Sequence[UnitLike], make_measure: MakeMeasure, store: Store, workers: int, tell: Callable[[Event], None]
) -> Iterator[Event]:
    """Results as they come.

    A worker that dies breaks its pool: the rest goes on in a new one, and the units that were under way are tried once more,
    each alone, so that the guilty one fails by itself.
    """
    queue, suspects = list(units), list[UnitLike]()
    while queue:
        queue, lost = yield from _in_pool(queue, make_measure, store, workers, tell)
        suspects += lost
    for unit in suspects:
        _, lost = yield from _in_pool([unit], make_measure, store, 1, tell)
        if lost:
            yield Event(
                unit, "failed", share=1.0, error="the worker process died twice on this unit (killed, or out of memory)"
            )


def _in_pool(
    units: Sequence[UnitLike], make_measure: MakeMeasure, store: Store, workers: int, tell: Callable[[Event], None]
) -> Generator[Event, None, tuple[list[UnitLike], list[UnitLike]]]:
    """Run units until all are done or the pool breaks; returns those never begun and those lost with it.

    Never more than ``workers`` units are handed over, so that few are lost with a pool. The process that takes a unit is then the one
    that has just finished one, and is given the same case again.
    """
    queue, under_way, lost = list(units), dict[Future[Event], UnitLike](), list[UnitLike]()
    finished: list[str] = []
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(queue)), mp_context=context, initializer=_start_worker, initargs=(make_measure,)
    )
    try:
        while under_way or (queue and not lost):
            while queue and not lost and len(under_way) < workers:
                unit = queue.pop(_next(queue, finished.pop() if finished else None, {unit.case for unit in under_way.values()}))
                try:
                    future = pool.submit(_work, unit, store)
                except BrokenProcessPool:
                    lost.append(unit)
                    break
                tell(Event(unit, "started"))
                under_way[future] = unit
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                unit = under_way.pop(future)
                finished.append(unit.case)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    lost.append(unit)
    except BaseException:
        _end(pool)
        raise
    pool.shutdown()
    return queue, lost


def _next(queue: Sequence[UnitLike], own: str | None, others: set[str]) -> int:
    """Place of the unit for a process that has the case ``own`` at hand: of that case, else of one that no other has, else the first."""
    for place, unit in enumerate(queue):
        if unit.case == own:
            return place
    for place, unit in enumerate(queue):
        if unit.case not in others:
            return place
    return 0


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop the workers of an interrupted run at once; their unfinished units are computed by the next run."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(OSError, AttributeError):
            process.terminate()
