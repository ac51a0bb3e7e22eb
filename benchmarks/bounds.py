"""Upper bounds of the Lipschitz constant beside one another, with the floor that they cannot pass and the gain that was found.

For trained networks (the small one of ``experiments/own_network``, a block of the deep cascade, the whole cascade and AUTOMAP from
measurement to image, the U-Nets of the zoo) and, with ``--networks lecture-unet``, for the U-Net of the lecture with random weights
(1.9 million, 320 x 320 and 384 x 384 pixels): the product of the layers and that of linear regions, the loop transformation, the semidefinite
bound per frequency, the floor, and the largest norm of a Jacobian at the inputs tried and beside them. Times are processor time
of one thread (of all with ``--threads``, where the time by the clock is printed too), the export of the network included.

    python -m benchmarks.bounds --out runs/bounds.jsonl --seconds 600
    python -m benchmarks.bounds --out runs/bounds.jsonl --report

Results are appended to the file, one line for each network and method, and a second run does only what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import reconstructors
from experiments.own_network.my_network import make
from experiments.training.recipes import RECIPES
from reconstructors.cascade import Cascade
from reconstructors.unet import UNet
from stabtest.bounds.compose import compose
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import Graph, trace
from stabtest.bounds.lattice.semidefinite import semidefinite_bound
from stabtest.bounds.lattice.translate import translate
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.loops import cut, loop_bound
from stabtest.errors import BoundsError
from stabtest.operators import Identity
from stabtest.search import jacobian_norm

ROOT = Path(__file__).parents[1]
METHODS = ("product", "regions", "loops", "semidefinite", "floor", "found")
ROUNDS, ASCENT = 4, 30
"""Images tried for the gain found, and power iterations at each."""


class Residual(nn.Module):
    """``x + C(x)``: a block of the cascade with its skip."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Two channels in, two out."""
        return x + self.block(x)


def cascade_block() -> nn.Module:
    """The first convolutional block of the trained cascade."""
    network = reconstructors.load("cascade-mri").module
    assert isinstance(network, Cascade)
    return Residual(network.blocks[0])


def own_network() -> nn.Module:
    """The network of the example, with its weights."""
    network = make()
    network.load_state_dict(load_file(ROOT / "experiments" / "own_network" / "weights.safetensors"))
    return network


def of_zoo(name: str) -> Callable[[], nn.Module]:
    """A network of the zoo."""

    def load() -> nn.Module:
        module = reconstructors.load(name).module
        assert module is not None
        return module

    return load


def lecture_unet() -> nn.Module:
    """The U-Net of the lecture with a global skip and random weights: 32-64-128-256 channels."""
    torch.manual_seed(0)
    return UNet(channels=1, width=32, depth=3, norm=None)


@dataclass(frozen=True)
class Subject:
    """A network with what it is given.

    ``images(seed)`` makes an input; ``constants`` are the further arguments of ``forward``.
    """

    network: nn.Module
    images: Callable[[int], Tensor]
    size: int
    constants: tuple[Any, ...] = ()


def on_images(create: Callable[[], nn.Module], channels: int, size: int) -> Callable[[], Subject]:
    """A network that takes an image."""
    return lambda: Subject(create().eval(), lambda seed: image(channels, size, seed=seed), size)


def on_measurements(name: str, size: int) -> Callable[[], Subject]:
    """A network of the zoo that takes measurements and operator: those of phantoms, scaled as it expects them."""

    def load() -> Subject:
        operator = replace(RECIPES[name], size=size).build_operator()

        def measurement(seed: int) -> Tensor:
            y = operator.forward(image(1, size, seed=seed).to(torch.complex64))
            return y / operator.pseudo_inverse(y).abs().max()

        return Subject(of_zoo(name)().eval(), measurement, size, (operator,))

    return load


NETWORKS: dict[str, Callable[[], Subject]] = {
    "own-network": on_images(own_network, 2, 64),
    "cascade-mri, block 1": on_images(cascade_block, 2, 128),
    "cascade-mri": on_measurements("cascade-mri", 64),
    "automap-mri": on_measurements("automap-mri", 40),
    "fbpconvnet-ell50": on_images(of_zoo("fbpconvnet-ell50"), 1, 64),
    "unet-mri": on_images(of_zoo("unet-mri"), 2, 64),
    "lecture-unet": on_images(lecture_unet, 1, 320),
    "lecture-unet, 384": on_images(lecture_unet, 1, 384),
}
"""How each is made; cascade and AUTOMAP from measurement to image, at the scale that they are given."""


@dataclass(frozen=True)
class Row:
    """One network by one method; ``seconds`` of processor, ``elapsed`` by the clock."""

    network: str
    size: int
    parameters: int
    method: str
    value: float | None
    seconds: float
    note: str
    elapsed: float | None = None


def measure(name: str, method: str, *, seconds: float) -> Row:
    """Run one method on one network."""
    subject = NETWORKS[name]()
    begin, start = time.process_time(), time.perf_counter()
    graph = trace(subject.network, subject.images(0), constants=subject.constants)
    value, note = by(method, graph, subject, seconds)
    spent, elapsed = time.process_time() - begin, time.perf_counter() - start
    parameters = sum(p.numel() for p in subject.network.parameters())
    return Row(name, subject.size, parameters, method, value, round(spent, 1), note, round(elapsed, 1))


def by(method: str, graph: Graph, subject: Subject, seconds: float) -> tuple[float | None, str]:
    """Value and note; None where the method does not apply."""
    generator = torch.Generator().manual_seed(0)
    try:
        match method:
            case "product":
                return compose(graph)[1], ""
            case "regions":
                replay = linear_replay(graph)
                loops = loop_bound(replay, parts=cut(replay.gates), generator=generator)
                return loops.value, f"{loops.norms} norms, failure {loops.failure:.0e}"
            case "loops":
                loops = loop_bound(linear_replay(graph), generator=generator)
                return loops.value, f"{loops.norms} norms, failure {loops.failure:.0e}"
            case "semidefinite":
                example = subject.images(0)
                replay = linear_replay(graph if subject.size <= 64 else trace(subject.network, example[..., :64, :64]))
                found = semidefinite_bound(translate(graph), replay=replay, seconds=seconds, generator=generator, progress=tell)
                return found.upper, f"torus {found.torus[0]} x {found.torus[1]}, check {found.seconds_checking:.1f} s"
            case "floor":
                return floor(linear_replay(graph), image=subject.images(0), generator=generator).value, ""
            case _:
                return gain_found(subject), f"{ROUNDS} images"
    except BoundsError as error:
        return None, f"does not apply: {error}"


def gain_found(subject: Subject) -> float:
    """Largest norm of the Jacobian at some inputs, and at those moved along the direction that it amplifies most."""
    first = subject.images(0)
    shape = first.shape[1:]
    space = Identity((1, first[0].numel()), is_complex=first.is_complex())
    best = 0.0

    def flat(x: Tensor, _: object) -> Tensor:
        return subject.network(x.reshape(-1, *shape), *subject.constants).reshape(len(x), 1, 1, -1)

    for seed in range(ROUNDS):
        x = subject.images(seed).reshape(1, 1, 1, -1)
        for _ in range(3):
            found = jacobian_norm(flat, space, x, steps=ASCENT, generator=torch.Generator().manual_seed(seed))
            best = max(best, float(found.sigma[0]))
            x = x + 0.1 * x.norm() * found.vector / found.vector.norm()
    return best


def image(channels: int, size: int, *, seed: int) -> Tensor:
    """A phantom as the network sees one, largest value 1; further channels hold a tenth of it."""
    from stabtest.phantoms import ellipses

    picture = ellipses(size, seed=seed)[None].real.float()
    picture = picture / picture.abs().max()
    return torch.cat([picture if c == 0 else 0.1 * picture for c in range(channels)], 1)


def tell(what: str, done: int, planned: int) -> None:
    """Where the slowest of them is, now and then."""
    if done % 25 == 0:
        print(f"    {what} {done}/{planned}", file=sys.stderr, flush=True)


def read(path: Path) -> dict[tuple[str, str], Row]:
    """The rows of a record."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [Row(**json.loads(line)) for line in lines]
    return {(row.network, row.method): row for row in rows}


def report(rows: dict[tuple[str, str], Row]) -> str:
    """A Markdown table."""
    heads = (
        "Network",
        "Pixels",
        "Product",
        "Regions",
        "Loops",
        "Semidefinite",
        "Floor",
        "Found",
        "Smallest / floor",
        "Seconds",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name in NETWORKS:
        own = {method: rows[name, method] for method in METHODS if (name, method) in rows}
        if not own:
            continue
        values = {method: row.value for method, row in own.items() if row.value is not None}
        cells = [f"{values[method]:.4g}" if method in values else "-" for method in METHODS]
        bounds = [values[method] for method in METHODS[:4] if method in values]
        ratio = f"{min(bounds) / values['floor']:.2f}" if bounds and "floor" in values else "-"
        times = " / ".join(f"{own[method].seconds:.0f}" if method in own else "-" for method in METHODS)
        size = next(iter(own.values())).size
        lines.append(f"| `{name}` | {size} x {size} | " + " | ".join(cells) + f" | {ratio} | {times} |")
    return "\n".join(lines)


def main() -> int:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bounds.jsonl"))
    parser.add_argument(
        "--networks", nargs="+", choices=list(NETWORKS), default=[n for n in NETWORKS if not n.startswith("lecture-unet")]
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=600.0, help="for the multipliers of the semidefinite bound")
    parser.add_argument("--report", action="store_true", help="print what the record says, run nothing")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = read(options.out)
    if not options.report:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        for name in options.networks:
            for method in options.methods:
                if (name, method) in rows:
                    continue
                row = measure(name, method, seconds=options.seconds)
                rows[name, method] = row
                with options.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(row)) + "\n")
                shown = "-" if row.value is None else f"{row.value:.5g}"
                print(f"{name}: {method} {shown} in {row.seconds:g} s, {row.elapsed:g} by the clock {row.note}", flush=True)
    print(report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
