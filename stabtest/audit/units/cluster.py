"""Units on a cluster: one task of Dask distributed each, results written by the process that asked for them.

Workers measure, the audit's own process stores what comes back, into the same content-addressed store as without a cluster, so that an
audit begun here goes on there and the other way round. A worker has to see the files of the configuration under the same
names (a shared file system) and to run the same code, which is asked before anything is measured.

- A unit that raises one of the tool's own errors has failed: a row of the report. Any other exception is tried again (`RETRIES` times),
  since on a cluster it may be the node's fault, and is a row then.
- A unit whose worker dies goes to another worker, by Dask's own counting (``distributed.scheduler.allowed-failures``). That counts against every
  unit that the worker held: who is given up is measured again when all others are done, one at a time, and is a row of the report if workers
  die of it then.
- Units for a GPU ask for the resource ``GPU``. Where no worker has it the audit is refused: Dask would wait for ever.

Source: Dask distributed, *Worker Resources* and *Resilience*, https://distributed.dask.org/en/stable/resources.html and
https://distributed.dask.org/en/stable/resilience.html.
"""

from __future__ import annotations

import pickle
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from stabtest.audit.fingerprint import code_sha256
from stabtest.audit.units.engine import Event, MakeMeasure, Measure, UnitLike
from stabtest.audit.units.store import Result, Store
from stabtest.errors import AuditError, ConfigError, StabtestError

if TYPE_CHECKING:
    from distributed import Client

RETRIES = 2
"""How often a unit that raised something unforeseen is tried again."""
CONNECT = 10.0
"""Seconds in which a scheduler has to answer."""
PATIENCE = 60.0
"""Seconds for which a cluster without workers is waited for."""
GPU = "GPU"
"""Name of the resource that a worker with a GPU is started with."""


class UnforeseenError(Exception):
    """What a unit raised on a worker, in words that survive the way back."""


def measure_on_cluster(
    units: Sequence[UnitLike],
    make_measure: MakeMeasure,
    store: Store,
    address: str,
    tell: Callable[[Event], None],
    *,
    gpu: bool = False,
    patience: float = PATIENCE,
) -> Iterator[Event]:
    """Measure units on the workers of a scheduler and store what comes back, in the order in which it comes.

    Parameters
    ----------
    units
        What to measure.
    make_measure
        Sets a worker up; once on each worker.
    store
        Where results are put, by this process.
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.
    tell
        Told when a unit is handed over.
    gpu
        Whether units need a GPU.
    patience
        Seconds for which workers are waited for.

    Raises
    ------
    ConfigError
        If Dask is not installed or no scheduler answers there.
    AuditError
        If there is no worker, none with a GPU where one is needed, one runs other code, or a result cannot be written.
    """
    with _connected(address) as client:
        _check_workers(client, address, gpu, patience)
        yield from _measured(client, units, make_measure, store, tell, gpu)


@contextmanager
def _connected(address: str) -> Generator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            "--scheduler", expected="Dask distributed", came=f"no {error.name}", remedy="pip install 'stabtest[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"--scheduler {address}",
            expected="the address of a Dask scheduler, such as tcp://10.0.0.1:8786",
            came=str(error).split("\n")[0] or type(error).__name__,
            remedy="start one by dask scheduler, which prints its address",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _check_workers(client: Client, address: str, gpu: bool, patience: float) -> None:
    """Workers are there, they have what the units need, and they run this code."""
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise AuditError(
            f"--scheduler {address}",
            expected="a worker",
            came=f"none in {patience:g} s",
            remedy=f"start some by dask worker {address} --nthreads 1",
        ) from error
    workers: dict[str, Any] = dict(client.scheduler_info()["workers"])
    if gpu and not any(worker.get("resources", {}).get(GPU, 0) >= 1 for worker in workers.values()):
        raise AuditError(
            f"--scheduler {address}",
            expected=f"a worker with the resource {GPU}, since the device is a GPU",
            came=f"{len(workers)} without it",
            remedy=f'start those on a GPU by dask worker {address} --nthreads 1 --resources "{GPU}=1", or use --device cpu',
        )
    mine, theirs = code_sha256(), cast("dict[str, str]", client.run(code_sha256))
    other = sorted(worker for worker, sha256 in theirs.items() if sha256 != mine)
    if other:
        raise AuditError(
            f"--scheduler {address}",
            expected="workers that run the code and the PyTorch of this process",
            came=f"another version on {', '.join(other[:3])}" + (f" and {len(other) - 3} more" if len(other) > 3 else ""),
            remedy="install the same version of stabtest and torch there",
        )


def _measured(
    client: Client,
    units: Sequence[UnitLike],
    make_measure: MakeMeasure,
    store: Store,
    tell: Callable[[Event], None],
    gpu: bool,
) -> Iterator[Event]:
    from distributed import as_completed

    setup = pickle.dumps(make_measure)

    def submit(unit: UnitLike) -> Any:  # noqa: ANN401 - Dask's futures have no types
        return client.submit(
            measure_here,
            setup,
            unit,
            key=f"stabtest-{unit.key}-{time.time_ns():x}",
            resources={GPU: 1} if gpu else None,
            retries=RETRIES,
            pure=False,
        )

    under_way: dict[str, UnitLike] = {}
    futures: list[Any] = []
    suspects: list[UnitLike] = []
    for unit in units:
        future = submit(unit)
        under_way[str(future.key)] = unit
        futures.append(future)
        tell(Event(unit, "started"))
    arriving = as_completed(futures, loop=client.loop)
    del futures  # a result that is stored is kept nowhere else
    try:
        for future in arriving:
            unit = under_way.pop(str(future.key))
            if _killed(future.exception()):
                suspects.append(unit)
            else:
                yield _arrived(unit, future, store)
            future.release()
    finally:
        arriving.clear()
    for unit in suspects:  # one at a time: who was beside it when a worker died is not to blame
        future = submit(unit)
        yield _arrived(unit, future, store)
        future.release()


def _killed(error: BaseException | None) -> bool:
    """Whether Dask gave a unit up since workers died that held it."""
    return type(error).__name__ == "KilledWorker"


def _arrived(unit: UnitLike, future: Any, store: Store) -> Event:  # noqa: ANN401 - Dask's futures have no types
    """Store the result of a unit, or say why there is none."""
    error = future.exception()
    if error is None:
        result, failure, seconds = future.result()
        if result is None:
            return Event(unit, "failed", share=1.0, seconds=seconds, error=failure)
        store.put(unit.key, unit.label, replace(result, seconds=seconds))
        return Event(unit, "finished", share=1.0, seconds=seconds)
    if _killed(error):
        text = "every worker that took this unit died, also where nothing else was measured (killed, or out of memory)"
    elif isinstance(error, UnforeseenError):
        text = f"{error}, {RETRIES + 1} times"
    else:
        text = f"{type(error).__name__}: {error}"
    return Event(unit, "failed", share=1.0, error=text)


_lock = threading.Lock()
_known: dict[bytes, Measure] = {}
"""The `Measure` of a worker process, by the setup that made it; a worker holds the networks of one audit at a time."""


def measure_here(setup: bytes, unit: UnitLike) -> tuple[Result | None, str, float]:
    """Measure a unit in this worker process.

    Parameters
    ----------
    setup
        A pickled `MakeMeasure`, of the audit's own process.
    unit
        What to measure.

    Returns
    -------
    Result or None, str, float
        The result, or why there is none, and the seconds.

    Raises
    ------
    UnforeseenError
        What is not an error of the tool's own.
    """
    import torch

    with _lock:  # threads of one worker would share networks and cases
        start = time.perf_counter()
        try:
            if setup not in _known:
                torch.set_num_threads(1)
                made: Measure = pickle.loads(setup)()
                _known.clear()
                _known[setup] = made
            start = time.perf_counter()
            return _known[setup](unit, _nothing), "", time.perf_counter() - start
        except StabtestError as error:
            return None, str(error), time.perf_counter() - start
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({last.filename.rpartition('/')[2]}, line {last.lineno})"
            raise UnforeseenError(text) from None


def _nothing(share: float) -> None:
    pass
