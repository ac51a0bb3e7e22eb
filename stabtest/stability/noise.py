r"""How do error and bias grow with noise? Draws of noise at several levels around that of the scan, for every method the same.

At the level ``m`` (a multiple of the scan's own noise ``sigma``) the measurement is ``y_d = A x + m sigma n_d`` with independent draws
``n_d``, ``d = 1 .. D``. With ``f_d = f(y_d)`` and their mean ``F``,

    NRMSE_d = ||f_d - x|| / ||x||,      spread^2 = sum_d ||f_d - F||^2 / (D - 1) / ||x||^2,
    bias^2  = ||F - x||^2 / ||x||^2 - spread^2 / D,

so that the mean of ``NRMSE_d^2`` estimates ``bias^2 + spread^2`` (the mean of ``D`` images still carries ``1/D`` of the spread, which is taken off;
what comes out negative is 0). A method that averages noise away pays in bias, one that follows the data in spread; the sum alone hides which.
(H. Barrett, K. Myers, *Foundations of Image Science*, 2004, section 8.2.) The *gain* of noise, ``||f_d - f(A x)|| / ||y_d - A x||``, is the
one that the worst case is compared with: for a linear method it is the same at all levels.

**Which noise.** Gaussian: complex in MRI, ``m sigma`` for each complex sample, with an optional correlation of the coils; real in
CT. Poisson (CT): ``I_0 / m^2`` photons a ray before the object, so that ``m`` scales the standard deviation as in the Gaussian case,

    N ~ Poisson(I_0 / m^2 exp(-p)),     p' = -log(max(N, 1) m^2 / I_0),

where the sinogram is scaled to line integrals ``p`` with a stated largest one (T. Buzug, *Computed Tomography*, 2008, section 10.3).

**Real scans** hold noise already, and ``A x`` is not known. Levels above 1 are then made by adding what is missing,
``sqrt(m^2 - 1) sigma n_d``, to the measurement; levels below 1 cannot be had, and the single realisation in the file counts as bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.findings.noise_rows import NoiseRow
from stabtest.networks.magnitude import comparable
from stabtest.stability.cases import Case, Method, Outcome, Progress

NoiseKind = Literal["gaussian", "poisson"]
ATTENUATION = 4.0
"""Largest line integral of a sinogram that Poisson noise is drawn for, where none is given: about 20 cm of water at 70 keV."""


@dataclass(frozen=True)
class NoiseTest:
    """Error, bias and spread against the level of noise.

    Parameters
    ----------
    levels
        Multiples of the case's own noise.
    draws
        Of noise at each level, at least 2.
    kind
        ``"gaussian"``, or ``"poisson"`` (real sinograms).
    photons
        ``I_0`` of a ray at the level 1, for Poisson noise.
    attenuation
        Largest line integral, for Poisson noise.
    correlation
        Of the noise of any two coils, from 0 to below 1.

    Raises
    ------
    ConfigError
        If a level is not positive, there are fewer than two draws, or a number does not fit.
    """

    levels: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    draws: int = 4
    kind: NoiseKind = "gaussian"
    photons: float = 1e5
    attenuation: float = ATTENUATION
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not self.levels or not all(0 < level < math.inf for level in self.levels):
            raise ConfigError("noise: levels", expected="positive multiples of the noise", came=str(self.levels))
        if self.draws < 2:
            raise ConfigError("noise: draws", expected="at least 2 (a spread needs two)", came=str(self.draws))
        if not 0 <= self.correlation < 1:
            raise ConfigError("noise: correlation", expected="from 0 to below 1", came=str(self.correlation))
        if not self.photons > 0 or not self.attenuation > 0:
            raise ConfigError(
                "noise: photons, attenuation", expected="positive numbers", came=f"{self.photons}, {self.attenuation}"
            )

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """One row for each level.

        Parameters
        ----------
        method, case
            The case must know its noise; for levels below 1, and for Poisson noise, also its measurement without noise.
        seed
            Of the draws; with the same seed all methods get the same noise, and all levels the same draws.
        progress
            Called after each reconstruction.

        Returns
        -------
        Outcome
            `NoiseRow` for each level, the lowest first.

        Raises
        ------
        DataError
            If the case does not know its noise, or has no measurement without noise where one is needed.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        start = self._start(case)
        quiet = method(start, case.operator)
        total, done, rows = len(set(self.levels)) * self.draws, 0, list[NoiseRow]()
        for level in sorted(set(self.levels)):
            generator = torch.Generator().manual_seed(seed)
            images: list[Tensor] = []
            gains: list[float] = []
            sizes: list[float] = []
            for _ in range(self.draws):
                noisy = self._draw(case, start, level, generator)
                images.append(method(noisy, case.operator))
                size = float(tensors.norm(noisy - start))
                gains.append(float(tensors.norm(images[-1] - quiet)) / size if size > 0 else math.nan)
                sizes.append(size / float(tensors.norm(start)))
                done += 1
                if progress is not None:
                    progress(done, total)
            rows.append(self._row(method, case, level, torch.cat(images), gains, sizes))
        return Outcome(tuple(rows))

    def _start(self, case: Case) -> Tensor:
        """What noise is added to: the measurement without noise, or the real one."""
        if not case.noise_std:
            raise DataError(f"case {case.name}: noise", expected="a known noise level", came=str(case.noise_std))
        if case.noiseless is not None:
            return case.noiseless
        if self.kind == "poisson" or min(self.levels) < 1:
            what = "Poisson noise" if self.kind == "poisson" else f"the level {min(self.levels):g}"
            raise DataError(
                f"case {case.name}: {what}",
                expected="a measurement without noise",
                came="a real scan, whose noise cannot be taken out",
                remedy="set levels of at least 1 and Gaussian noise",
            )
        return case.measurement

    def _draw(self, case: Case, start: Tensor, level: float, generator: torch.Generator) -> Tensor:
        """A measurement at a level."""
        if self.kind == "poisson":
            return self._photons(case, start, level, generator)
        assert case.noise_std is not None
        missing = level**2 - (0 if case.noiseless is not None else 1)
        drawn = tensors.randn(tuple(start.shape), dtype=start.dtype, generator=generator).to(start.device)
        if self.correlation:
            drawn = _correlated(case, drawn, self.correlation)
        return start + case.operator.restrict(math.sqrt(missing) * case.noise_std * drawn)

    def _photons(self, case: Case, start: Tensor, level: float, generator: torch.Generator) -> Tensor:
        if start.is_complex():
            raise DataError(f"case {case.name}: Poisson noise", expected="a real sinogram", came="complex samples")
        scale = self.attenuation / float(start.max())
        sent = self.photons / level**2
        expected = sent * torch.exp(-scale * start.to("cpu", torch.float64))
        counted = torch.poisson(expected, generator=generator).clamp_min(1.0)
        return (-torch.log(counted / sent) / scale).to(start)

    def _row(
        self, method: Method, case: Case, level: float, images: Tensor, gains: list[float], sizes: list[float]
    ) -> NoiseRow:
        known = case.truth is not None
        truth = comparable(case.reference_image, images[:1])
        size = float(tensors.norm(truth))
        mean = images.mean(0, keepdim=True)
        spread = math.sqrt(float(tensors.norm(images - mean).square().sum()) / (self.draws - 1)) / size
        squared = (float(tensors.norm(mean - truth)) / size) ** 2 - spread**2 / self.draws
        errors = [float(value) / size for value in tensors.norm(images - truth).tolist()]
        return NoiseRow(
            case=case.name,
            method=method.name,
            level=level,
            kind=self.kind,
            noise_std=None if self.kind == "poisson" or case.noise_std is None else level * case.noise_std,
            photons=self.photons / level**2 if self.kind == "poisson" else None,
            relative_norm=_median(sizes),
            draws=self.draws,
            nrmse=math.fsum(errors) / len(errors) if known else None,
            nrmse_max=max(errors) if known else None,
            bias=math.sqrt(max(0.0, squared)) if known else None,
            spread=spread,
            gain=_median(gains),
            added=case.noiseless is None,
        )


def _correlated(case: Case, drawn: Tensor, correlation: float) -> Tensor:
    """Coils with the covariance ``(1 - c) I + c 1 1^T``, by its Cholesky factor."""
    coils = drawn.shape[1]
    if coils < 2:
        raise DataError(f"case {case.name}: correlation of coils", expected="several coils", came=f"{coils}")
    covariance = (1 - correlation) * torch.eye(coils, dtype=torch.float64) + correlation
    factor = torch.linalg.cholesky(covariance).to(drawn)
    return torch.einsum("ij,bj...->bi...", factor, drawn)


def _median(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).median())
