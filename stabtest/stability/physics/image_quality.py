"""The basics that a medical physicist expects beside NRMSE, PSNR and SSIM: resolution by contrast, noise, uniformity and bias.

One scan is repeated ``n`` times with independent noise (`realisations`) and reconstructed. From these images come the noise power
spectrum and the noise map (`nps`), and where the truth is known the bias in flat regions of the case's own object (`flatness`).
Into the first few scans a disc is put, at flat sites and at several contrasts: the change that it makes gives the task transfer
function (`resolution`, `ttf`). Last, a uniform disc alone is scanned with the same noise, for its uniformity (`flatness`).

All of it works on MRI with one coil or several and on CT, since it asks of the operator only ``A`` and ``A.refine(2)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import ConfigError
from stabtest.findings.physics_rows import NoisePowerRow
from stabtest.findings.records import Record
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.insertion import FACTOR, local_phase
from stabtest.stability.physics.disc import quantity, signal
from stabtest.stability.physics.flatness import bias_rows, uniformity_row
from stabtest.stability.physics.nps import LEAST_REALISATIONS, noise_map, noise_power
from stabtest.stability.physics.realisations import realisations
from stabtest.stability.physics.resolution import edge_sites, transfer_row
from stabtest.stability.physics.uniformity import hounsfield
from stabtest.stability.structure import places


@dataclass(frozen=True)
class ImageQualityTest:
    """Resolution at several contrasts, noise, uniformity and bias.

    Parameters
    ----------
    contrasts
        Of the discs, relative to ``max|x|``; negative = dark.
    diameter_px
        Of the discs, pixels of the reconstruction, at least 6; ten times the standard deviation of the blur, or more.
    sites
        Places of the discs, of the noise regions and of the regions of the bias, in flat parts of the body.
    edge_realisations
        Noise realisations in which discs are reconstructed.
    noise_realisations
        Noise realisations of the noise power spectrum, at least 3, and at least ``edge_realisations``.
    noise_side_px
        Side of the square regions of the noise power spectrum, at least 4.
    flat_object
        Whether to scan a uniform disc.
    water
        Value of water in CT, for Hounsfield units; None leaves them out.

    Raises
    ------
    ConfigError
        If a number is out of range, or there are no contrasts.
    """

    contrasts: tuple[float, ...] = (0.02, 0.1, 0.5)
    diameter_px: float = 16.0
    sites: int = 1
    edge_realisations: int = 6
    noise_realisations: int = 16
    noise_side_px: int = 16
    flat_object: bool = True
    water: float | None = None

    def __post_init__(self) -> None:
        if not self.contrasts or 0 in self.contrasts or len(set(self.contrasts)) < len(self.contrasts):
            raise ConfigError(
                "image quality: contrasts", expected="different numbers other than zero", came=str(self.contrasts)
            )
        if not self.diameter_px >= 6 or self.noise_side_px < 4:
            came = f"disc of {self.diameter_px:g}, region of {self.noise_side_px}"
            raise ConfigError("image quality: pixels", expected="a disc of at least 6, a region of at least 4", came=came)
        if self.sites < 1 or self.edge_realisations < 1:
            came = f"{self.sites} sites, {self.edge_realisations} realisations"
            raise ConfigError("image quality", expected="at least 1 site and 1 edge realisation", came=came)
        if self.noise_realisations < max(LEAST_REALISATIONS, self.edge_realisations):
            raise ConfigError(
                "image quality: noise realisations",
                expected=f"at least {LEAST_REALISATIONS}, and at least those of edges",
                came=str(self.noise_realisations),
            )
        if self.water is not None and not self.water > 0:
            raise ConfigError("image quality: water", expected="a positive value", came=f"{self.water:g}")

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """Measure one method on one case.

        Parameters
        ----------
        method, case
            Without a noise level there is one scan: no noise power, and intervals over sites. Without a truth there is no bias.
        seed
            Chooses sites and noise; with the same seed all methods get the same.
        progress
            Called after each reconstruction.

        Returns
        -------
        Outcome
            A `TransferRow` for each contrast, then where they can be had a `NoisePowerRow` with its stored noise map, a `BiasRow`
            for each site, and a `UniformityRow`.

        Raises
        ------
        DataError
            If the body has no room for the disc or for the regions.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        scans = realisations(case, count=self.noise_realisations, seed=seed)
        edges = min(self.edge_realisations, len(scans))
        sites = edge_sites(case, diameter=self.diameter_px, count=self.sites, seed=seed)
        # From its middle a square reaches 0.71 sides, and two of them do not overlap from 1.42 sides on.
        squares = places(case, diameter=0.75 * self.noise_side_px, count=self.sites, seed=seed)
        total = len(scans) + edges * (len(self.contrasts) * self.sites + self.flat_object)
        run = _counting(method, case, total, progress)
        fine = case.operator.refine(FACTOR)
        images = [run(y) for y in scans.measurements]
        rows: list[Record] = [
            transfer_row(
                run,
                case,
                fine,
                scans,
                images[:edges],
                name=method.name,
                sites=sites,
                diameter=self.diameter_px,
                contrast=contrast,
            )
            for contrast in self.contrasts
        ]
        stored: dict[str, NDArray[np.generic]] = {}
        if len(scans) >= LEAST_REALISATIONS:
            stack = signal(torch.cat(images), local_phase(case.reference_image))
            row = self._noise(method, case, images[0], stack, squares, scans.ratio)
            rows.append(row)
            stored[row.noise_map] = noise_map(stack).to(torch.float32).numpy()
        if case.truth is not None:
            rows.extend(
                bias_rows(
                    torch.cat(images),
                    case,
                    case.truth,
                    name=method.name,
                    sites=sites,
                    diameter=self.diameter_px,
                    water=self.water,
                )
            )
        if self.flat_object:
            rows.append(uniformity_row(run, case, fine, scans, name=method.name, count=edges, water=self.water))
        return Outcome(tuple(rows), witnesses=stored)

    def _noise(
        self, method: Method, case: Case, image: Tensor, stack: Tensor, sites: tuple[tuple[int, int], ...], ratio: float | None
    ) -> NoisePowerRow:
        side = self.noise_side_px
        found = noise_power(stack, corners=[(row - side // 2, column - side // 2) for row, column in sites], side=side)
        std = found.variance**0.5
        return NoisePowerRow(
            case=case.name,
            method=method.name,
            quantity=quantity(case, image),
            realisations=len(stack),
            noise_ratio=ratio,
            regions=len(sites),
            side_px=side,
            frequencies=found.frequencies.tolist(),
            power=found.radial.tolist(),
            standard_error=found.standard_error.tolist(),
            integral=found.integral,
            variance=found.variance,
            noise_std=std,
            noise_std_hu=None if self.water is None else hounsfield(std, water=self.water),
            peak_frequency=found.peak_frequency,
            mean_frequency=found.mean_frequency,
            noise_map="noise-map",
        )


def _counting(method: Method, case: Case, total: int, progress: Progress | None) -> Callable[[Tensor], Tensor]:
    done = 0

    def run(measurement: Tensor) -> Tensor:
        nonlocal done
        image = method(measurement, case.operator)
        done += 1
        if progress is not None:
            progress(done, total)
        return image

    return run
