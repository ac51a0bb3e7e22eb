"""Linear expressions and variables of a lattice, put together one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.network import Blocks, Lattice, Maximum, Sector, Step, Variable
from stabtest.errors import BoundsError

At = Callable[[int, Tensor], Blocks]
"""Evaluates a step at frequencies."""


class NotALatticeError(BoundsError):
    """The network is not of this kind."""


class Builder:
    """Variables, steps and what relates them; each method adds one step and returns its number."""

    def __init__(self) -> None:
        self.variables: list[Variable] = []
        self.steps: list[Step] = []
        self.sectors: list[Sector] = []
        self.maxima: list[Maximum] = []
        self._reach: dict[int, list[int]] = {}

    def finish(self, output: int) -> Lattice:
        """The lattice with this output."""
        depth = max(variable.level for variable in self.variables)
        if self.steps[output].level:
            raise NotALatticeError("output", expected="on the grid of the input", came=f"level {self.steps[output].level}")
        return Lattice(
            tuple(self.variables),
            tuple(self.steps),
            tuple(self.sectors),
            tuple(self.maxima),
            output,
            self._torus(depth),
            depth,
        )

    def _torus(self, depth: int) -> tuple[int, int]:
        """Room for the window and the reach of the kernels at every level, in multiples of the coarsest spacing."""
        sides: list[int] = []
        for axis in (0, 1):
            cells = max(
                math.ceil((step.size[axis] + self._reach.get(step.level, [0, 0])[axis]) / 2 ** (depth - step.level))
                for step in self.steps
            )
            sides.append(cells * 2**depth)
        return sides[0], sides[1]

    # ---- variables and steps

    def variable(self, name: str, level: int, channels: int, size: tuple[int, int], *, is_window: bool = False) -> int:
        """A new variable, and the step that is itself."""
        number = len(self.variables)
        self.variables.append(Variable(name, level, channels, is_window))

        def evaluate(_: At, w: Tensor) -> Blocks:
            eye = torch.eye(channels, dtype=torch.complex128, device=w.device)
            return {(number, -1): eye.expand(len(w), channels, channels)}

        return self.add(Step(level, channels, size, True, frozenset({(number, 0)}), evaluate))

    def add(self, step: Step) -> int:
        """Append a step."""
        self.steps.append(step)
        return len(self.steps) - 1

    def inside(self, place: int, name: str) -> int:
        """The step itself if it vanishes outside of its window, else what is left after setting it to zero there."""
        step = self.steps[place]
        return place if step.inside else self.sector(place, f"{name}.window", 0.0, 1.0, is_window=True)

    def sector(self, place: int, name: str, low: float, high: float, *, is_window: bool = False) -> int:
        """What leaves an activation with these slopes after a step, set to zero outside of the window."""
        step = self.steps[place]
        number = len(self.variables)
        found = self.variable(name, step.level, step.channels, step.size, is_window=is_window)
        self.sectors.append(Sector(number, place, min(0.0, low), max(0.0, high)))
        return found

    def extend(self, level: int, rows: int, columns: int) -> None:
        """Ask for room around the window at a level."""
        reach = self._reach.setdefault(level, [0, 0])
        reach[0], reach[1] = max(reach[0], rows), max(reach[1], columns)

    def filtered(
        self, name: str, place: int, kernel: Tensor, offsets: Tensor, stride: tuple[int, int], shape: tuple[int, ...]
    ) -> int:
        """A convolution, and every second point of it where the stride is 2."""
        source = self.steps[place]
        pointwise = kernel.shape[2:] == (1, 1) and not bool(offsets.any())
        size = (shape[2], shape[3])

        def same(at: At, w: Tensor) -> Blocks:
            return symbols.apply(symbols.symbol(kernel, offsets, w), at(place, w))

        if stride == (1, 1):
            return self.add(
                Step(
                    source.level,
                    kernel.shape[0],
                    size,
                    source.inside and pointwise,
                    source.keys,
                    same,
                )
            )
        if stride != (2, 2):
            raise NotALatticeError(name, expected="stride 1 or 2", came=str(stride))
        keys = self.shifted(name, source.keys, -1)

        def down(at: At, w: Tensor) -> Blocks:
            joined: Blocks = {}
            for k, fine in enumerate(symbols.finer(w)):
                part = symbols.apply(symbols.symbol(kernel, offsets, fine) / 2, at(place, fine))
                joined.update({(variable, k): block for (variable, _), block in part.items()})
            return joined

        return self.add(Step(source.level + 1, kernel.shape[0], size, False, keys, down))

    def raised(
        self,
        name: str,
        place: int,
        kernel: Tensor,
        offsets: Tensor,
        stride: tuple[int, int],
        shape: tuple[int, ...],
        *,
        inside: bool,
    ) -> int:
        """Zeros between the points, then a convolution on the finer grid."""
        source = self.steps[place]
        if stride != (2, 2) or source.level < 1:
            raise NotALatticeError(name, expected="back to a grid that the network came from", came=f"stride {stride}")
        keys = self.shifted(name, source.keys, 1)

        def up(at: At, w: Tensor) -> Blocks:
            return symbols.apply(symbols.symbol(kernel, offsets, w) / 2, at(place, 2 * w))

        return self.add(Step(source.level - 1, kernel.shape[0], (shape[2], shape[3]), inside, keys, up))

    def shifted(self, name: str, keys: frozenset[tuple[int, int]], by: int) -> frozenset[tuple[int, int]]:
        """The keys of an expression as seen from another level."""
        if any(relation for _, relation in keys):
            raise NotALatticeError(name, expected="an activation between two changes of the grid", came="none")
        return frozenset((variable, relation + by) for variable, relation in keys)

    def scaled(self, place: int, factors: Tensor) -> int:
        """Channels times constants."""
        source = self.steps[place]
        column = factors.detach().to("cpu", torch.float64).reshape(-1, 1)

        def evaluate(at: At, w: Tensor) -> Blocks:
            return {key: column.to(w.device) * block for key, block in at(place, w).items()}

        return self.add(replace(source, evaluate=evaluate))

    def moved(self, place: int, offset: tuple[int, int], size: tuple[int, int], *, inside: bool) -> int:
        """``out[m] = in[m + offset]`` on a window of another size: zero padding and cropping."""
        source = self.steps[place]
        shift = torch.tensor([offset], dtype=torch.float64)

        def evaluate(at: At, w: Tensor) -> Blocks:
            phase = torch.exp(1j * (w @ shift.to(w.device).T))[:, :, None]
            return {key: phase * block for key, block in at(place, w).items()}

        return self.add(replace(source, size=size, inside=inside, evaluate=evaluate))
