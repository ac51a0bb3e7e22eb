"""What it costs a search to need less memory, and what it finds then.

Four figures, each of two runs side by side in one process:

- **precision**: the largest damage found by a search in bfloat16 over that of a search in float32, both scored in float32, from equal
  starts, and as a control a search in float32 from other starts over the same: a path that is nudged by rounding may end in another
  maximum, which is luck and not precision. The exit status is 1 if the mean over the images falls short by more than the limit at any
  radius;
- **chunks**: one evaluation of a batch in halves, quarters and single images, over the evaluation of the whole;
- **checkpointing**: one evaluation with activations computed again, over the plain one;
- **parallel**: a search with all fresh paths in one batch, over the same paths one after the other.

Times are of the processor on a CPU, since other load on the machine would decide otherwise, and of the wall on a GPU; the runs take
turns and the median of the ratios is printed. Memory is the most that PyTorch held beyond what it held before: on a CPU from the
record of allocations of its profiler, on a GPU `torch.cuda.max_memory_allocated`.

    python -m benchmarks.search_memory [--device cpu] [--images 3] [--evaluations 60] [--radii 0.02 0.08] [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.strength.subjects import Subject, load
from stabtest.networks.checkpointing import checkpointed
from stabtest.networks.wrap import WrappedNetwork
from stabtest.search.constraints import MeasurementBall
from stabtest.search.memory import Memory
from stabtest.search.objectives import DistanceToClean
from stabtest.search.precision import Precision
from stabtest.search.problem import Problem
from stabtest.search.worst_case import reconstruct_clean, worst_case

SIZE = 128
NETWORKS = ("unet-mri", "fbpconvnet-ell50")
LIMIT = 0.99
RADIUS = 0.05
"""Of the evaluations whose cost is measured; it does not matter to the cost."""

Measured = tuple[float, float]
"""Seconds and bytes, over those of the first action."""


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Of the processor, or of the wall on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        begin = time.perf_counter()
        action()
        torch.cuda.synchronize()
        return time.perf_counter() - begin
    begin = time.process_time()
    action()
    return time.process_time() - begin


def peak(action: Callable[[], object], device: torch.device) -> int:
    """The most bytes held at once by tensors of the action."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        action()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        action()
    now = most = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted((event for event in events if event.name() == "[memory]"), key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def compare(actions: dict[str, Callable[[], object]], device: torch.device, repeats: int) -> dict[str, Measured]:
    """Each action over the first: the median of the ratios of their times, and the ratio of their memory."""
    first = next(iter(actions))
    memory = {name: peak(action, device) for name, action in actions.items()}
    rounds = [{name: seconds(action, device) for name, action in actions.items()} for _ in range(repeats)]
    return {
        name: (statistics.median(times[name] / times[first] for times in rounds), memory[name] / memory[first])
        for name in actions
    }


def on(subject: Subject, device: torch.device) -> Subject:
    """The subject on a device."""
    if isinstance(subject.reconstructor, WrappedNetwork):
        subject.reconstructor.module.to(device)
    return replace(subject, measurement=subject.measurement.to(device))


def precision(subject: Subject, radii: list[float], evaluations: int) -> float:
    """Print what bfloat16 finds of what float32 finds, image by image; return the smallest mean of the ratios at a radius."""
    smallest = float("inf")
    for radius in radii:

        def search(word: Precision, seed: int, *, radius: float = radius) -> Tensor:
            return worst_case(
                subject.reconstructor,
                subject.operator,
                subject.measurement,
                radius=radius,
                evaluations=evaluations,
                precision=word,
                generator=torch.Generator().manual_seed(seed),
            ).objective

        found = search("float32", 0)
        for what, other in (("bfloat16 / float32", search("bfloat16", 0)), ("other starts / float32", search("float32", 1))):
            ratio = other / found
            if what.startswith("bfloat16"):
                smallest = min(smallest, ratio.mean().item())
            figures = " ".join(f"{r:.4f}" for r in ratio.tolist())
            print(f"{subject.name:18} radius {radius:<5} {what:24} mean {ratio.mean():.4f}, images {figures}", flush=True)
    return smallest


def evaluation(subject: Subject, **settings: object) -> Callable[[], object]:
    """One evaluation of the whole batch."""
    y = subject.measurement
    clean = reconstruct_clean(subject.reconstructor, subject.operator, y)
    ball = MeasurementBall(subject.operator, RADIUS * subject.norm)
    v = ball.maximise_linear(subject.operator.range.randn(len(y), generator=torch.Generator().manual_seed(0), device=y.device))
    problem = Problem(subject.reconstructor, y, ball, DistanceToClean(clean), **settings)  # type: ignore[arg-type]
    return lambda: problem.evaluate(v)


def costs(subject: Subject, images: int) -> dict[str, Callable[[], object]]:
    """The evaluations whose costs are compared."""
    network = subject.reconstructor
    assert isinstance(network, WrappedNetwork)
    assert isinstance(network.module, torch.nn.Module)
    frugal = replace(subject, reconstructor=replace(network, module=checkpointed(network.module)))
    sizes = sorted({(images + 1) // 2, (images + 3) // 4, 1} - {images}, reverse=True)
    return {
        "whole batch": evaluation(subject),
        **{f"chunks of {size}": evaluation(subject, memory=Memory(size)) for size in sizes},
        "checkpointed": evaluation(frugal),
        "checkpointed, chunks of 1": evaluation(frugal, memory=Memory(1)),
        "bfloat16": evaluation(subject, precision="bfloat16"),
    }


def searches(subject: Subject) -> dict[str, Callable[[], object]]:
    """Four fresh paths of four steps, one after the other and in one batch."""

    def search(parallel: int) -> Callable[[], object]:
        return lambda: worst_case(
            subject.reconstructor,
            subject.operator,
            subject.measurement,
            radius=RADIUS,
            evaluations=16,
            restarts=4,
            parallel=parallel,
        )

    return {"one after the other": search(1), "four in one batch": search(4)}


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=3, help="of the searches")
    parser.add_argument("--batch", type=int, default=8, help="images of the evaluations whose cost is measured")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--radii", type=float, nargs="+", default=[0.02, 0.08])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)

    smallest = float("inf")
    for name in options.networks:
        subject = on(load(name, SIZE, tuple(range(options.images))), device)
        smallest = min(smallest, precision(subject, options.radii, options.evaluations))
        many = on(load(name, SIZE, tuple(range(options.batch))), device)
        for title, actions, repeats in (
            (f"one evaluation of {options.batch} images", costs(many, options.batch), options.repeats),
            (f"a search, {options.images} images", searches(subject), max(1, options.repeats // 3)),
        ):
            print(f"{name}: {title}, times and memory over the first", flush=True)
            for what, (time_ratio, memory_ratio) in compare(actions, device, repeats).items():
                print(f"  {what:28} time {time_ratio:5.2f}   memory {memory_ratio:5.2f}", flush=True)
    print(f"smallest mean of bfloat16 / float32: {smallest:.4f} (limit {LIMIT})")
    return int(smallest < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
