"""The forward models beside scikit-image, NumPy and, where it is installed, astra: how near to what is known exactly, and how long.

**Tomography.** A disc whose line integrals are known in closed form (chords, averaged over the bin). Its pixels are means of the disc over
each pixel. Of each tool: the relative l2 error of its projection of those pixels, the relative error of the mean inside of its filtered
back-projection of the *exact* sinogram, and how far its back-projection is from the adjoint of its projection (``|<A x, y> - <x, B y>| /
(||A x|| ||y||)`` for random ``x`` and ``y``; scikit-image and astra scale their back-projections, so the best factor is divided out).

**MRI.** The centred orthonormal transform against NumPy's in double precision.

Times are processor seconds of this process, the median of the repeats, each tool in turn; the matrix of `stabtest.operators.Radon` is
built before, and what that takes is a column of its own. The exit status is 1 where our adjoint or transform is off by more than rounding.

    python -m benchmarks.operators [--sizes 128 256] [--views 90] [--repeats 7]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import iradon, radon

from stabtest.operators import Fourier, Radon, cartesian_random, dot_test

RADIUS, FINE = 0.31, 16
"""Radius of the disc over the side of the image; sub-pixels along a side for the means over pixels."""


def chords(bins: int, middle: float, radius: float) -> NDArray[np.float64]:
    """Mean over each bin of the chord ``2 sqrt(r^2 - s^2)``, by its antiderivative ``s sqrt(r^2 - s^2) + r^2 asin(s / r)``."""
    edges = np.clip(np.arange(bins + 1) - 0.5 - middle, -radius, radius)
    return np.diff(edges * np.sqrt(radius**2 - edges**2) + radius**2 * np.arcsin(edges / radius))


def disc(size: int, middle: float, radius: float) -> NDArray[np.float64]:
    """Means over the pixels of a disc about ``(middle, middle)``."""
    fine = (np.arange(size * FINE) + 0.5) / FINE - 0.5 - middle
    inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2).astype(np.float64)
    return inside.reshape(size, FINE, size, FINE).mean((1, 3))


def error(found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """Relative l2 error."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def timed(call: Callable[[], object], repeats: int) -> float:
    """Median of the processor seconds of a call."""
    times: list[float] = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return statistics.median(times)


class Ours:
    """`stabtest.operators.Radon`, whose axis is the middle of the image."""

    name = "stabtest"

    def __init__(self, size: int, views: int) -> None:
        self.middle = (size - 1) / 2
        begun = time.process_time()
        self.operator = Radon(size, views)
        self.bins = self.operator.range.shape[-1]
        self.project(np.zeros((size, size)))
        self.building = time.process_time() - begun

    def project(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sinogram ``(views, bins)``."""
        return self.operator(torch.from_numpy(image)[None, None])[0, 0].numpy()

    def back(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Back-projection without filter."""
        return self.operator.adjoint(torch.from_numpy(sinogram)[None, None])[0, 0].numpy()

    def fbp(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filtered back-projection."""
        return self.operator.pseudo_inverse(torch.from_numpy(sinogram)[None, None])[0, 0].numpy()


class Skimage:
    """`skimage.transform.radon` and ``iradon``, whose axis is pixel ``size // 2``; bins as many as pixels (``circle``)."""

    name, building = "scikit-image", 0.0

    def __init__(self, size: int, views: int) -> None:
        self.size, self.middle, self.bins = size, float(size // 2), size
        self.angles = np.arange(views) * 180 / views

    def project(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sinogram ``(views, bins)``."""
        return radon(image, self.angles, circle=True).T

    def back(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Back-projection without filter."""
        return iradon(sinogram.T, self.angles, filter_name=None, circle=True, output_size=self.size)

    def fbp(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filtered back-projection."""
        return iradon(sinogram.T, self.angles, filter_name="ramp", circle=True, output_size=self.size)


class Astra:
    """astra's strip projector on the CPU, if somebody has installed it; it is GPL and never a dependency of ours."""

    name, building = "astra (strip)", 0.0

    def __init__(self, size: int, views: int) -> None:
        import astra  # type: ignore[import-not-found]

        self.astra, self.size, self.middle = astra, size, (size - 1) / 2
        self.bins = 2 * math.ceil(size / math.sqrt(2)) + size % 2
        geometry = astra.create_proj_geom("parallel", 1.0, self.bins, np.arange(views) * np.pi / views)
        self.projector = astra.create_projector("strip", geometry, astra.create_vol_geom(size, size))
        self.operator = astra.OpTomo(self.projector)

    def project(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sinogram ``(views, bins)``."""
        return np.asarray(self.operator.FP(image.astype(np.float32)), dtype=np.float64)

    def back(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Back-projection without filter."""
        return np.asarray(self.operator.BP(sinogram.astype(np.float32)), dtype=np.float64)

    def fbp(self, sinogram: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filtered back-projection."""
        return np.asarray(self.operator.reconstruct("FBP", sinogram.astype(np.float32)), dtype=np.float64)


def tools(size: int, views: int) -> list[Ours | Skimage | Astra]:
    """Those that are installed."""
    found: list[Ours | Skimage | Astra] = [Ours(size, views), Skimage(size, views)]
    with contextlib.suppress(ImportError):
        found.append(Astra(size, views))
    return found


def adjoint_defect(tool: Ours | Skimage | Astra, size: int, views: int) -> float:
    """``|<A x, y> - c <x, B y>| / (||A x|| ||y||)`` in the disc that all see, ``c`` the best factor over some pairs."""
    random = np.random.default_rng(0)
    seen = disc(size, tool.middle, 0.45 * size) > 0.5
    left, right, scales = [], [], []
    for _ in range(8):
        x, y = random.standard_normal((size, size)) * seen, random.standard_normal((views, tool.bins))
        projected = tool.project(x)
        left.append(float(np.sum(projected * y)))
        right.append(float(np.sum(x * tool.back(y))))
        scales.append(float(np.linalg.norm(projected) * np.linalg.norm(y)))
    factor = np.dot(left, right) / np.dot(right, right) if not isinstance(tool, Ours) else 1.0
    return max(abs(a - factor * b) / s for a, b, s in zip(left, right, scales, strict=True))


def tomography(size: int, views: int, repeats: int) -> bool:
    """Print the table of one size; whether our adjoint is one."""
    print(f"\ntomography, {size} x {size}, {views} views, disc of radius {RADIUS * size:.1f} pixels")
    heads = ("error of projection", "error of FBP's mean", "adjoint defect", "project, s", "back-project, s", "build, s")
    print(f"{'':14s}" + "".join(f"{head:>21s}" for head in heads))
    defects: dict[str, float] = {}
    for tool in tools(size, views):
        image = disc(size, tool.middle, RADIUS * size)
        middle = (tool.bins - 1) / 2 if not isinstance(tool, Skimage) else float(size // 2)
        exact = np.tile(chords(tool.bins, middle, RADIUS * size), (views, 1))
        inside = disc(size, tool.middle, 0.8 * RADIUS * size) == 1
        off = error(tool.project(image), exact)
        defects[tool.name] = adjoint_defect(tool, size, views)
        level = abs(float(tool.fbp(exact)[inside].mean()) - 1)
        times = (timed(lambda t=tool, i=image: t.project(i), repeats), timed(lambda t=tool, e=exact: t.back(e), repeats))
        row = [f"{value:21.2e}" for value in (off, level, defects[tool.name])]
        print(f"{tool.name:14s}" + "".join(row) + "".join(f"{value:21.4f}" for value in (*times, tool.building)))
    return defects["stabtest"] < 1e-12


def magnetic_resonance(size: int, repeats: int) -> bool:
    """Print the line of one size; whether the transform is NumPy's."""
    generator = torch.Generator().manual_seed(0)
    operator = Fourier(cartesian_random((size, size), acceleration=4, seed=0))
    x = torch.randn(1, 1, size, size, dtype=torch.complex128, generator=generator)
    mask, image = operator.mask.numpy(), x[0, 0].numpy()

    def by_numpy() -> NDArray[np.complex128]:
        return mask * np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))

    difference = float(np.abs(operator(x)[0, 0].numpy() - by_numpy()).max())
    defect = dot_test(operator, generator=generator)
    ours, theirs = timed(lambda: operator(x), repeats), timed(by_numpy, repeats)
    print(
        f"MRI, {size} x {size}: largest difference to NumPy {difference:.1e}, adjoint {defect:.1e}, time {ours / theirs:.2f} of NumPy's"
    )
    return difference < 1e-12 and defect < 1e-12


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Forward models beside other tools.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--views", type=int, default=90)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    good = [tomography(size, given.views, given.repeats) for size in given.sizes]
    print()
    good += [magnetic_resonance(size, max(20, given.repeats)) for size in given.sizes]
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
