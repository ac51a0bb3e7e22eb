"""Which lesion would be missed? The worst of a box is searched for each method, and measured again from scratch.

The search (`search`) is the same for every method: the same lattice, random starts and budget, so that the least recovery found of a
network can be read beside that of a reference that was *searched by itself*. Beside it stands how much the reference, and the
direct linear reconstruction, bring back of the *same* lesion: what another method shows is in the data.

What is reported is not what the search says. The lesion it names is drawn anew by `stabtest.phantoms.soft_ellipse` (NumPy, other samples),
measured with a new operator of the finer grid, reconstructed with and without, and scored as in `stabtest.stability.structure`: recovery,
sham, detectability, null-space share, identifiability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.records import Picture
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.insertion import FACTOR, Insertion, insert
from stabtest.stability.missed_lesion.lesion import EDGE, Lesion, LesionBox
from stabtest.stability.missed_lesion.search import FoundLesion, search_lesion
from stabtest.stability.null_space import null_space_share
from stabtest.stability.pictures import picture
from stabtest.stability.structure import MOST_NULL_SPACE, detectability, identifiable, recovery, sham_change


@dataclass(frozen=True)
class MissedLesionTest:
    """The lesion of a box that comes back least.

    Parameters
    ----------
    box
        Which lesions.
    places, points
        The coarse grid, as in `stabtest.stability.missed_lesion.search.search_lesion`.
    evaluations
        Budget for each method and case.
    reference
        Makes the method that is shown the same lesion; None = no such method.

    Raises
    ------
    ConfigError
        If a number is out of range.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 32, 32)
    >>> case = Case("a", "a", "other", Identity((32, 32)), image, truth=image)
    >>> half = Method("net", "under test", lambda y, A: 0.5 * y)
    >>> (row,) = MissedLesionTest(places=4, evaluations=12).measure(half, case).rows
    >>> round(row.recovery, 3), round(row.linear_recovery, 3)
    (0.5, 1.0)
    """

    box: LesionBox = field(default_factory=LesionBox)
    places: int = 25
    points: int = 1
    evaluations: int = 150
    reference: Callable[[], Method | None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.places < 1 or self.points not in (1, 2, 3) or self.evaluations < 1:
            came = f"places={self.places}, points={self.points}, evaluations={self.evaluations}"
            raise ConfigError("missed lesion", expected="places and evaluations >= 1, points of 1, 2 or 3", came=came)

    @property
    def budget(self) -> str:
        """The stated budget, in words."""
        kinds = {
            1: "of another size and height each",
            2: "of the smallest and largest size and height",
            3: "of three sizes and heights",
        }
        signs = " of each sign" if len(self.box.signs) > 1 else ""
        grid = self.places * self.points**2 * len(self.box.signs)
        then = "then descents along the gradient" if self.evaluations > grid else "which leave nothing for a descent"
        return f"{self.evaluations} reconstructions for each method and case: about {self.places} places, lesions {kinds[self.points]}{signs}, {then}"

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """The worst lesion found.

        Parameters
        ----------
        method, case
            What reconstructs, and what lesions are put into.
        seed
            Of the random starts and of the noise of the sham; with the same seed all methods get the same.
        progress
            Called with the evaluations spent.

        Returns
        -------
        Outcome
            One `MissedLesionRow`.

        Raises
        ------
        DataError
            If the body has no room for any lesion of the box.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        found = search_lesion(
            method,
            case,
            self.box,
            places=self.places,
            points=self.points,
            evaluations=self.evaluations,
            seed=seed,
            progress=progress,
        )
        if found.lesion is None:
            return Outcome((_nothing(method, case, found),), evaluations=found.gradients)
        lesion = Lesion.of(found.lesion.point)
        detail = put_in(case, lesion)
        clean, with_detail = (method(y, case.operator) for y in (case.measurement, case.measurement + detail.data))
        beside = None if self.reference is None or method.role == "reference" else self.reference()
        others = {} if beside is None or beside.name == method.name else {beside.name: changes(beside, case, detail)}
        linear = Method("direct", "baseline", lambda y, operator: operator.pseudo_inverse(y))
        by_linear = changes(linear, case, detail)
        row = _row(method, case, detail, clean, with_detail, found, seed=seed).model_copy(
            update={
                "reference": next(iter(others), None),
                "reference_recovery": next((_back(case, detail, *pair) for pair in others.values()), None),
                "linear_recovery": _back(case, detail, *by_linear),
            }
        )
        shown = {method.name: (clean, with_detail), **others}
        return Outcome((row,), tuple(_pictures(method.name, case, detail, lesion, shown)), evaluations=found.gradients)


def put_in(case: Case, lesion: Lesion) -> Insertion:
    """A lesion in a measurement, drawn by another program than that of the search.

    Parameters
    ----------
    case
        What it is put into.
    lesion
        Which.
    """
    height, width = case.reference_image.shape[-2:]
    side = max(height, width)
    shape = phantoms.soft_ellipse(
        FACTOR * side,
        centre=(lesion.row, lesion.column),
        diameter=lesion.diameter,
        edge=EDGE,
        aspect=lesion.aspect,
        degrees=lesion.degrees,
        nominal=side,
    )[None, :, : FACTOR * height, : FACTOR * width]
    fine = case.operator.refine(FACTOR)
    site = (lesion.row, lesion.column)
    return insert(case, fine, shape, site=site, diameter=lesion.diameter, contrast=lesion.contrast)


def changes(method: Method, case: Case, detail: Insertion) -> tuple[Tensor, Tensor]:
    """Reconstructions without and with a detail."""
    return method(case.measurement, case.operator), method(case.measurement + detail.data, case.operator)


def _back(case: Case, detail: Insertion, clean: Tensor, with_detail: Tensor) -> float:
    return recovery(with_detail - clean, detail.as_change_of(case, clean), detail.region)


def _row(
    method: Method, case: Case, detail: Insertion, clean: Tensor, with_detail: Tensor, found: FoundLesion, *, seed: int
) -> MissedLesionRow:
    assert found.lesion is not None
    lesion = Lesion.of(found.lesion.point)
    change, template, region = with_detail - clean, detail.as_change_of(case, clean), detail.region
    back = recovery(change, template, region)
    visible, share = detectability(detail.data, case.noise_std), null_space_share(case.operator, detail.template).share
    sham = sham_change(method, case, clean, seed)
    return MissedLesionRow(
        case=case.name,
        method=method.name,
        row=lesion.row,
        column=lesion.column,
        diameter_px=lesion.diameter,
        contrast=lesion.contrast,
        aspect=lesion.aspect,
        degrees=lesion.degrees,
        recovery=back,
        search_recovery=found.recovery,
        grid_recovery=_finite(found.grid_recovery),
        half_recovery=_finite(found.half_recovery),
        region_nrmse=float(tensors.norm((change - template) * region) / tensors.norm(template * region)),
        outside_energy=float((tensors.norm((change - back * template) * ~region) / tensors.norm(template)) ** 2),
        sham_recovery=None if sham is None else recovery(sham, template, region),
        data_detectability=visible,
        null_space_share=share,
        identifiable=identifiable(visible, share) and share <= MOST_NULL_SPACE,
        reference=None,
        reference_recovery=None,
        linear_recovery=None,
        evaluations=found.evaluations,
        gradient=found.gradient,
        set_aside=found.set_aside,
    )


def _nothing(method: Method, case: Case, found: FoundLesion) -> MissedLesionRow:
    """No lesion of the box that the data carry."""
    none = dict.fromkeys(MissedLesionRow.model_fields, None)
    counted = {"evaluations": found.evaluations, "gradient": found.gradient, "set_aside": found.set_aside}
    return MissedLesionRow.model_validate({**none, "case": case.name, "method": method.name, "identifiable": False, **counted})


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _pictures(
    owner: str, case: Case, detail: Insertion, lesion: Lesion, shown: dict[str, tuple[Tensor, Tensor]]
) -> list[Picture]:
    """The lesion that ``owner`` shows least, and what it and the reference make of it."""
    draw = partial(picture, case=case, section="missed_lesion", label=f"of-{owner}", limit=abs(detail.contrast) * case.peak)
    along = detail.phase.conj()
    made = [
        draw(
            detail.template * along,
            method="truth",
            role="detail",
            kind="signed",
            caption=f"Worst found for {owner}: {lesion.words}",
        )
    ]
    for name, (clean, with_detail) in shown.items():
        change = with_detail - clean
        change = change * along if change.is_complex() else change
        made += [
            draw(with_detail, method=name, role="with_detail", kind="anatomy", caption=f"{name}, with that lesion"),
            draw(change, method=name, role="recovered", kind="signed", caption=f"{name}: what came back"),
        ]
    return made
