"""What does a method do where the scanner sees nothing? Errors, hallucinations and the price of details in the null space.

One measurement, four questions, each in a file of its own: where the error lies (`errors`), what is shown that neither data nor object have
(`hallucinations`), what it costs to recover details that the data barely tell apart (`transfer`, searched by `climb` over `families`) with what the
data and the method say of the detail found (`claims`), and, only where the user gives thresholds, whether patches correlate with the truth (`sfrc`).

Sources: N. M. Gottschling, V. Antun, A. C. Hansen, B. Adcock, *The troublesome kernel: on hallucinations, no free lunches, and the
accuracy-stability tradeoff in inverse problems*, SIAM Review 67 (2025); S. Bhadra, V. A. Kelkar, F. J. Brooks, M. A. Anastasio, IEEE TMI 40
(2021) 3249-3260; P. Kc, R. Zeng, N. Soni, A. Badano, arXiv:2603.04673.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow
from stabtest.findings.records import Picture, Record
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.kernel.claims import claim
from stabtest.stability.kernel.climb import FoundDetail, Objective, search_detail
from stabtest.stability.kernel.errors import kernel_errors
from stabtest.stability.kernel.families import BumpDetail, Ellipsoid, Family, FreeDetail
from stabtest.stability.kernel.hallucinations import hallucination_maps, map_norm
from stabtest.stability.kernel.sfrc import LEAST_SIDE, scan
from stabtest.stability.pictures import picture, slug
from stabtest.stability.structure import LEAST_DETECTABILITY

FamilyName = Literal["free", "bump"]
Base = Literal["truth", "reconstruction"]
FAMILIES: dict[FamilyName, type[FreeDetail] | type[BumpDetail]] = {"free": FreeDetail, "bump": BumpDetail}
FALLBACK = 2e-4
"""Data distance relative to ``||y||`` that one unit stands for where the noise is not known."""


@dataclass(frozen=True)
class SfrcSettings:
    """Settings of `stabtest.stability.kernel.sfrc.scan`; the thresholds have no default.

    Parameters
    ----------
    threshold, least_cutoff, side, stride, hann
        As there.
    """

    threshold: float
    least_cutoff: float
    side: int = 32
    stride: int | None = None
    hann: bool = True


@dataclass(frozen=True)
class KernelTest:
    """Errors, hallucinations and the price of details in the null space.

    Parameters
    ----------
    families
        Of the details that are searched: "free", "bump".
    bases
        What details are added to: the "truth" (the method has to recover both images), its own "reconstruction" (it has to transfer the
        detail).
    objective
        What the searches maximise: the "bound", or its "excess" over what a kernel-aware method can reach (`climb`).
    size
        Largest detail, ``||h|| / ||x||``.
    data
        Largest distance in the data, ``||A h|| / sigma`` with the noise ``sigma`` of a real sample: the ``d'`` of an ideal observer. By default that
        from which the data count as determining a detail, so that all details searched are claimed without the data, if they are. Where the noise
        is not known, in units of `FALLBACK` ``||y||``.
    steps, starts
        Evaluations in each ascent and random starts, for each family and base.
    reference_steps
        Evaluations in each ascent for a method that is not the one under test; ``steps`` if not given.
    floor
        ``|P_N f(y)|`` relative to ``max|x|`` above which a method shows something in the null space, for the hallucination map.
    cut
        Singular value relative to ``||A||`` at which the inverse of the hallucination maps is cut.
    sfrc
        Whether, and with which thresholds, patches are correlated with the truth.

    Raises
    ------
    ConfigError
        If a size is not positive, a family unknown or named twice, or a count below 1.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> A = Fourier(torch.arange(16) % 2 * torch.ones(16, 1) > 0)
    >>> x = torch.randn(1, 1, 16, 16, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    >>> case = Case("a", "a", "mri", A, A(x), truth=x, truth_source="phantom")
    >>> linear = Method("linear", "baseline", lambda y, A: A.pseudo_inverse(y))
    >>> errors, free, bump = KernelTest(bases=("truth",)).measure(linear, case).rows
    >>> round(errors.null_share, 6), round(errors.null_recovery, 6), free.kernel_aware, bump.kernel_aware
    (1.0, 0.0, True, True)
    """

    families: tuple[FamilyName, ...] = ("free", "bump")
    bases: tuple[Base, ...] = ("truth", "reconstruction")
    objective: Objective = "excess"
    size: float = 0.2
    data: float = LEAST_DETECTABILITY
    steps: int = 30
    starts: int = 2
    reference_steps: int | None = None
    floor: float = 1e-3
    cut: float = 0.01
    sfrc: SfrcSettings | None = None

    def __post_init__(self) -> None:
        if len(set(self.families)) != len(self.families) or not set(self.families) <= set(FAMILIES):
            raise ConfigError("kernel: families", expected=f"different ones of {', '.join(FAMILIES)}", came=str(self.families))
        if len(set(self.bases)) != len(self.bases) or not set(self.bases) <= {"truth", "reconstruction"}:
            raise ConfigError("kernel: bases", expected="different ones of truth, reconstruction", came=str(self.bases))
        if not (0 < self.size < math.inf and 0 < self.data < math.inf and self.floor >= 0 and self.cut >= 0):
            came = f"size {self.size}, data {self.data}, floor {self.floor}, cut {self.cut}"
            raise ConfigError("kernel", expected="positive size and data, floor and cut of at least zero", came=came)
        others = self.steps if self.reference_steps is None else self.reference_steps
        if self.steps < 1 or self.starts < 1 or others < 1:
            came = f"{self.steps}, {self.starts}, for others {others}"
            raise ConfigError("kernel: search", expected="at least one step and start", came=came)
        if self.sfrc is not None and self.sfrc.side < LEAST_SIDE:
            raise ConfigError("kernel: sFRC side", expected=f"at least {LEAST_SIDE} pixels", came=str(self.sfrc.side))

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """All of it for one method and one case.

        Parameters
        ----------
        method, case
            The case must know its truth; the method must return complex images in MRI.
        seed
            Of the starts of the searches; with the same seed all methods get the same.
        progress
            Called after each part.

        Returns
        -------
        Outcome
            One `KernelErrorRow`, one `KernelTransferRow` for each family and base, one `SfrcRow` if asked for; maps and details as witnesses.

        Raises
        ------
        DataError
            If the case has no truth, the method returns magnitudes, or an image is smaller than a patch.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        if case.truth is None:
            raise DataError(f"case {case.name}: null space", expected="a truth", came="none")
        image = method(case.measurement, case.operator)
        total = 1 + len(self.families) * len(self.bases) + (self.sfrc is not None)
        rows: list[Record] = []
        stored: dict[str, NDArray[np.generic]] = {}
        evaluations = 1

        def done(row: Record) -> None:
            rows.append(row)
            if progress is not None:
                progress(len(rows), total)

        done(self._errors(method, case, case.truth, image, stored))
        for name, base in product(self.families, self.bases):
            about = case.truth if base == "truth" else image
            row, spent = self._transfer(name, base, method, case, about, seed, stored)
            evaluations += spent
            done(row)
        if self.sfrc is not None:
            done(_sfrc(self.sfrc, method, case, case.truth, image, stored))
        return Outcome(tuple(rows), pictures=self._pictures(method, case, stored), witnesses=stored, evaluations=evaluations)

    def _pictures(self, method: Method, case: Case, stored: dict[str, NDArray[np.generic]]) -> tuple[Picture, ...]:
        """The maps of the null space, in magnitude."""
        shown: list[Picture] = []
        prefix = slug("kernel", case.name, method.name, "maps")
        for role, name, words in (
            ("hallucination", "null", "shown and not there"),
            ("missing", "missing", "there and not shown"),
        ):
            values = torch.as_tensor(stored[f"{prefix}.{name}"])[None, None]
            caption = f"In the null space, {words}: {method.name}"
            shown.append(picture(values, case, section="kernel", method=method.name, role=role, kind="error", caption=caption))
        return tuple(shown)

    def _errors(
        self, method: Method, case: Case, truth: Tensor, image: Tensor, stored: dict[str, NDArray[np.generic]]
    ) -> KernelErrorRow:
        operator, y = case.operator, case.measurement
        found = kernel_errors(operator, image, truth, y, noise_std=case.noise_std)
        maps = hallucination_maps(operator, image, truth, y, floor=self.floor * case.peak, cut=self.cut)
        prefix = slug("kernel", case.name, method.name, "maps")
        for name, part in (("measured", maps.measurement), ("null", maps.null), ("missing", maps.missing)):
            stored[f"{prefix}.{name}"] = _array(part[0, 0])
        return KernelErrorRow(
            case=case.name,
            method=method.name,
            error=found.total,
            measured_error=found.measured,
            null_error=found.null,
            null_share=found.null_share,
            truth_null=found.truth_null,
            null_recovery=found.null_recovery,
            null_invented=found.null_invented,
            data_consistency=found.data_consistency,
            noise_level=found.noise_level,
            hallucinated_measured=map_norm(maps.measurement, truth),
            hallucinated_null=map_norm(maps.null, truth),
            missing_null=map_norm(maps.missing, truth),
            hallucination_floor=self.floor,
            hallucination_cut=self.cut,
            hallucination_residual=maps.residual,
            projection_residual=found.residual,
            projection_iterations=found.iterations,
            maps=prefix,
        )

    def _transfer(
        self,
        name: FamilyName,
        base: Base,
        method: Method,
        case: Case,
        about: Tensor,
        seed: int,
        stored: dict[str, NDArray[np.generic]],
    ) -> tuple[KernelTransferRow, int]:
        operator, y, size = case.operator, case.measurement, float(tensors.norm(case.reference_image))
        unit, noisy = _unit(case)
        family: Family = FAMILIES[name](Ellipsoid(operator, size=self.size * size, data=self.data * unit))
        generator = torch.Generator().manual_seed(seed)
        tested = method.role == "under test" or self.reference_steps is None
        search = search_detail(
            method,
            operator,
            y,
            about,
            family,
            objective=self.objective,
            steps=self.steps if tested else self.reference_steps or self.steps,
            starts=self.starts,
            generator=generator,
        )
        witness = slug("kernel", case.name, method.name, name, base)
        stored[witness] = _array(search.found.detail[0, 0])
        return self._transfer_row(name, base, method, case, about, search, noisy, witness), search.evaluations + 2

    def _transfer_row(
        self,
        name: FamilyName,
        base: Base,
        method: Method,
        case: Case,
        about: Tensor,
        search: FoundDetail,
        noisy: bool,
        witness: str,
    ) -> KernelTransferRow:
        found, size = search.found, float(tensors.norm(case.reference_image))
        said = claim(method, case.operator, case.measurement, about, found.detail, noise_std=case.noise_std)
        return KernelTransferRow(
            case=case.name,
            method=method.name,
            family=name,
            base=base,
            objective=self.objective,
            size_limit=self.size,
            data_limit=self.data if noisy else self.data * FALLBACK,
            data_unit="sigma" if noisy else "measurement",
            bound=found.bound,
            ceiling=found.ceiling,
            ceiling_residual=found.ceiling_residual,
            rounding=found.rounding,
            kernel_aware=found.kernel_aware,
            gain=found.gain,
            image_distance=found.image_distance / size,
            data_distance=found.data_distance / float(tensors.norm(case.measurement)),
            error=found.error / size,
            error_with=found.error_with / size,
            data_detectability=said.data_detectability,
            null_space_share=said.null_space_share,
            determined=said.determined,
            absent=said.absent,
            present=said.present,
            evaluations=search.evaluations,
            starts=search.starts,
            history=list(search.history),
            status=search.status,
            witness=witness,
        )


def _unit(case: Case) -> tuple[float, bool]:
    """What one unit of data distance is, and whether it is the noise of a real sample."""
    if case.noise_std is None or not 0 < case.noise_std < math.inf:
        return FALLBACK * float(tensors.norm(case.measurement)), False
    return (case.noise_std / math.sqrt(2) if case.operator.range.is_complex else case.noise_std), True


def _sfrc(
    settings: SfrcSettings, method: Method, case: Case, truth: Tensor, image: Tensor, stored: dict[str, NDArray[np.generic]]
) -> SfrcRow:
    found = scan(
        image,
        truth,
        threshold=settings.threshold,
        least_cutoff=settings.least_cutoff,
        side=settings.side,
        stride=settings.stride,
        hann=settings.hann,
    )
    prefix = slug("kernel", case.name, method.name, "sfrc")
    for name, part in (("curves", found.curves), ("cutoff", found.cutoff), ("recovery", found.recovery)):
        stored[f"{prefix}.{name}"] = _array(part)
    some = found.recovery[~found.recovery.isnan()]
    return SfrcRow(
        case=case.name,
        method=method.name,
        threshold=settings.threshold,
        least_cutoff=settings.least_cutoff,
        side=settings.side,
        patches=found.flagged.numel(),
        flagged=int(found.flagged.sum()),
        lowest_cutoff=float(found.cutoff.min()),
        lowest_recovery=float(some.min()) if some.numel() else None,
        highest_recovery=float(some.max()) if some.numel() else None,
        constant_patches=int(found.recovery.isnan().sum()),
        scan=prefix,
    )


def _array(values: Tensor) -> NDArray[np.generic]:
    return values.detach().cpu().numpy()
