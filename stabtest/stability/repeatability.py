r"""Does the method give the same image again? One measurement, reconstructed under conditions that should not matter.

``f(y)`` once, and then again

- *same input*: without any change;
- *in a batch*: with other measurements (the same one turned by a phase or a sign, and scaled) beside it, first and last;
- *seed*: after another seed of PyTorch's global generator, which a network that draws random numbers reads;
- *threads*: with another number of threads, where there is more than one core;
- *double precision*: network and measurement in float64;
- *device*: on a GPU, where there is one.

The figure is ``||f' - f|| / ||f||`` with the largest change of a pixel beside it. Rounding alone gives some ``1e-7`` to ``1e-5`` in float32 for
threads, batch and device, and 0 for the same input on most machines; the same orders and more for double precision, where it is the
network's own amplification of rounding. A network whose image depends on its neighbours in the batch (batch statistics), or on random numbers
(dropout left on), shows orders more. What cannot be tried is a row without a figure that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError, StabtestError
from stabtest.findings.noise_rows import RepeatabilityRow
from stabtest.stability.cases import Case, Method, Outcome, Progress

Variation = Literal["same input", "in a batch", "seed", "threads", "double precision", "device"]
VARIATIONS: tuple[Variation, ...] = ("same input", "in a batch", "seed", "threads", "double precision", "device")
OTHER_SEED = 12_345


@dataclass(frozen=True)
class RepeatabilityTest:
    """The same measurement again and again.

    Parameters
    ----------
    variations
        What is varied.
    """

    variations: tuple[Variation, ...] = VARIATIONS

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """One row for each variation.

        Parameters
        ----------
        method, case
            What reconstructs, and what it is given.
        seed
            Of the global generator at the first reconstruction.
        progress
            Called after each variation.

        Returns
        -------
        Outcome
            `RepeatabilityRow` for each variation.

        Raises
        ------
        NetworkError
            If the method does not return a finite image of the right shape at first.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> image = torch.rand(1, 1, 8, 8)
        >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
        >>> rows = RepeatabilityTest(("same input", "in a batch")).measure(Method("direct", "baseline", lambda y, A: y), case).rows
        >>> [(row.variation, row.difference) for row in rows]
        [('same input', 0.0), ('in a batch', 0.0)]
        """
        with _seeded(seed):
            first = method(case.measurement, case.operator)
        rows: list[RepeatabilityRow] = []
        for done, variation in enumerate(self.variations, 1):
            try:
                images, note = _TRIALS[variation](method, case, seed)
            except _NotTriedError as reason:
                rows.append(_row(method, case, variation, None, None, str(reason)))
            except (StabtestError, RuntimeError, TypeError, ValueError) as error:
                rows.append(_row(method, case, variation, None, None, f"could not be tried: {error}"[:300]))
            else:
                differences = [_difference(image, first) for image in images]
                rows.append(_row(method, case, variation, max(d for d, _ in differences), max(p for _, p in differences), note))
            if progress is not None:
                progress(done, len(self.variations))
        return Outcome(tuple(rows))


class _NotTriedError(Exception):
    """Why a variation makes no sense here."""


def _same(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    with _seeded(seed):
        return [method(case.measurement, case.operator)], "the same call again"


def _batch(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    y = case.measurement
    others = torch.cat([-y, 1.5 * y])
    with _seeded(seed):
        front = method(torch.cat([y, others]), case.operator)[:1]
    with _seeded(seed):
        back = method(torch.cat([others, y]), case.operator)[-1:]
    return [front, back], "first and last of three"


def _seed(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    with _seeded(seed + OTHER_SEED):
        return [method(case.measurement, case.operator)], "another seed of the global generator"


def _threads(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    before = torch.get_num_threads()
    other = 2 if before == 1 else 1
    try:
        torch.set_num_threads(other)
        with _seeded(seed):
            return [method(case.measurement, case.operator)], f"{other} in place of {before} threads"
    finally:
        torch.set_num_threads(before)


def _double(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    if case.measurement.dtype in (torch.float64, torch.complex128):
        raise _NotTriedError("the measurement is in double precision already")
    convert: Any = getattr(method.reconstruct, "in_double", None)
    exact = Method(method.name, method.role, convert() if convert is not None else method.reconstruct)
    y = case.measurement.to(torch.complex128 if case.measurement.is_complex() else torch.float64)
    with _seeded(seed):
        image = exact(y, case.operator)
    if image.dtype not in (torch.float64, torch.complex128):
        raise NetworkError(f"{method.name}: double precision", expected="an image in float64", came=str(image.dtype))
    return [image], "network and measurement in float64"


def _device(method: Method, case: Case, seed: int) -> tuple[list[Tensor], str]:
    if not torch.cuda.is_available():
        raise _NotTriedError("no GPU on this machine")
    if case.measurement.device.type != "cpu":
        raise _NotTriedError("the audit itself runs on the GPU")
    module: Any = getattr(method.reconstruct, "module", None)
    if isinstance(module, torch.nn.Module):
        module.to("cuda")
    try:
        with _seeded(seed):
            return [method(case.measurement.to("cuda"), case.operator).cpu()], torch.cuda.get_device_name()
    finally:
        if isinstance(module, torch.nn.Module):
            module.to("cpu")


_TRIALS: dict[Variation, Callable[[Method, Case, int], tuple[list[Tensor], str]]] = {
    "same input": _same,
    "in a batch": _batch,
    "seed": _seed,
    "threads": _threads,
    "double precision": _double,
    "device": _device,
}


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    """PyTorch's global generator at a seed, put back afterwards: a network may read it, this project does not."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _difference(image: Tensor, first: Tensor) -> tuple[float, float]:
    double = torch.complex128 if first.is_complex() else torch.float64
    change, size = (image.to(double) - first.to(double)), first.to(double)
    norm, largest = float(tensors.norm(size)), float(size.abs().max())
    return (
        float(tensors.norm(change)) / norm if norm > 0 else float(tensors.norm(change)),
        float(change.abs().max()) / largest if largest > 0 else float(change.abs().max()),
    )


def _row(
    method: Method, case: Case, variation: Variation, difference: float | None, largest: float | None, note: str
) -> RepeatabilityRow:
    return RepeatabilityRow(
        case=case.name, method=method.name, variation=variation, difference=difference, largest=largest, note=note
    )
