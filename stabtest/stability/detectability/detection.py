"""Can a lesion still be detected? Observers score the images that a method makes of fresh noise, with the lesion and without.

A recovery (`stabtest.stability.structure`) compares two images with the *same* noise and says how much of a lesion comes back. Whether
anyone could tell is another question: a method may return half of the contrast and a tenth of the noise. So the object is measured again
and again with fresh noise, with the lesion and without (`stabtest.stability.detectability.realisations`), the method makes an image of
each, and observers that know lesion and place score them (`observers`): the task-based image quality of Barrett and Myers, *Foundations of
Image Science*, 2004, chapters 13 and 14.

- **npw**: the fixed template is what a perfect reconstruction shows of the lesion. Nothing is trained.
- **cho**: trained on one set of noise realisations, tested on another.

AUC and ``d'`` of the test scores, with bounds, are in `figures`. In a **sham** nothing was put in, and the observer looks for the lesion all
the same: an AUC above 1/2 there is a false alarm of the test itself, which may happen at the stated level.

The gate: whatever a method does, it cannot put into the image what the data do not carry. The ideal observer of the raw data has
``d' = ||A_fine h|| / sigma`` (`stabtest.stability.structure.detectability`) and the largest AUC of all, ``Phi(d' / sqrt 2)``. Where that is
below the AUC that defines the threshold, 0.75, a lesion that is not detected says nothing about the method.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stabtest import statistics
from stabtest.errors import ConfigError, DataError
from stabtest.findings.detectability_rows import DetectabilityRow, ObserverName
from stabtest.operators.base import LinearOperator
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.detectability import channels, figures, observers, realisations
from stabtest.stability.detectability.observers import Array
from stabtest.stability.insertion import FACTOR, Insertion, insert_lesion
from stabtest.stability.structure import detectability, places

THRESHOLD_AUC = 0.75
"""The AUC that defines the threshold contrast, half way between guessing and certainty."""
LEAST_REALISATIONS = 20
"""Fewest test images of each kind: from there on the bounds have been shown to keep their level."""

ChannelName = Literal["laguerre-gauss", "difference of gaussians"]


@dataclass(frozen=True, eq=False)
class Study:
    """Scores of test images of one lesion.

    Parameters
    ----------
    detail
        The lesion looked for.
    contrast
        Of the lesion that was put in; 0 = none was.
    scores
        Of each observer: without the lesion, and with it.
    means
        What is measured without noise: without the lesion, and with it.
    stream
        Names the noise.
    """

    detail: Insertion
    contrast: float
    scores: dict[ObserverName, tuple[Array, Array]]
    means: tuple[Tensor, Tensor]
    stream: tuple[int, ...]


@dataclass(frozen=True)
class DetectabilityTest:
    """Lesions of several diameters and contrasts, looked for by observers.

    Parameters
    ----------
    diameters_px
        Diameters in pixels of the reconstruction.
    contrasts
        Heights relative to ``max|x|``; negative = dark. Empty: for each diameter those at which the ideal observer of the data has
        the ``d'`` in ``levels``, in the mean over the sites.
    levels
        ``d'`` of the ideal observer; used where no contrasts are given.
    sites
        Places for each diameter, drawn in flat parts of the body.
    realisations
        Test images of each kind for each lesion; every one costs a reconstruction.
    training
        Training images of each kind for each lesion, for the trained observer.
    observers
        Which.
    channels, count
        Kind and number of the channels of the Hotelling observer. Laguerre-Gauss channels get the width that matches the diameter.
    sham
        Whether to look for each lesion where none was put in as well, once for each diameter and site.
    background
        What stands for the object, see `realisations`.
    batch
        Images that are reconstructed at once.

    Raises
    ------
    ConfigError
        If a diameter is not positive, a contrast is zero, there is nothing to do, or there are too few images.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.zeros(1, 1, 32, 32)
    >>> image[..., 4:28, 4:28] = 1
    >>> case = Case("square", "square", "other", Identity((32, 32)), image, truth=image, truth_source="phantom", noise_std=0.3)
    >>> test = DetectabilityTest(diameters_px=(4.0,), contrasts=(0.3,), observers=("npw",), realisations=200, sham=False)
    >>> (row,) = test.measure(Method("identity", "reference", lambda y, A: y), case).rows
    >>> bool(row.auc_interval.lower < row.ideal_auc < row.auc_interval.upper)
    True
    """

    diameters_px: tuple[float, ...] = (3.0, 6.0)
    contrasts: tuple[float, ...] = ()
    levels: tuple[float, ...] = (1.0, 2.0, 4.0)
    sites: int = 1
    realisations: int = 64
    training: int = 64
    observers: tuple[ObserverName, ...] = ("npw", "cho")
    channels: ChannelName = "laguerre-gauss"
    count: int = 5
    sham: bool = True
    background: realisations.Background = "measurement"
    batch: int = 16

    def __post_init__(self) -> None:
        if not self.diameters_px or min(self.diameters_px) <= 0:
            raise ConfigError("detectability: diameters", expected="positive numbers of pixels", came=str(self.diameters_px))
        if 0 in self.contrasts:
            raise ConfigError("detectability: contrasts", expected="numbers other than zero", came=str(self.contrasts))
        if not self.contrasts and not (self.levels and min(self.levels) > 0):
            raise ConfigError("detectability: levels", expected="positive d', or contrasts", came=str(self.levels))
        if self.sites < 1 or self.batch < 1 or self.count < 1:
            came = f"{self.sites}, {self.batch}, {self.count}"
            raise ConfigError("detectability: sites, batch, count", expected="at least 1", came=came)
        if self.realisations < LEAST_REALISATIONS:
            raise ConfigError(
                "detectability: realisations", expected=f"at least {LEAST_REALISATIONS}", came=str(self.realisations)
            )
        if not self.observers or not set(self.observers) <= {"npw", "cho"}:
            raise ConfigError("detectability: observers", expected="npw, cho or both", came=str(self.observers))
        if self.channels not in ("laguerre-gauss", "difference of gaussians"):
            raise ConfigError(
                "detectability: channels", expected="laguerre-gauss or difference of gaussians", came=self.channels
            )
        if "cho" in self.observers and self.training < observers.least_training(self.count):
            raise ConfigError(
                "detectability: training",
                expected=f"at least {observers.least_training(self.count)} images of each kind for {self.count} channels",
                came=str(self.training),
            )

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """AUC and ``d'`` of every observer for every lesion.

        Parameters
        ----------
        method, case
            What reconstructs, and what is measured; the noise level must be known.
        seed
            Chooses sites and noise; with the same seed all methods get the same.
        progress
            Called after each lesion.

        Returns
        -------
        Outcome
            One `DetectabilityRow` for each lesion, sham and observer. Threshold contrasts are had from them with
            `contrast_detail.thresholds`.

        Raises
        ------
        DataError
            If the noise level is not known, the body has no room, a truth is wanted and there is none, or contrasts are to be found
            for lesions that the scan does not see.
        NetworkError
            If the method does not return finite images of the right shape.
        """
        rows: list[DetectabilityRow] = []
        total = len(self.diameters_px) * self.sites * (len(self.contrasts or self.levels) + self.sham)
        for done, study in enumerate(self.studies(method, case, seed=seed), 1):
            for name, (absent, present) in study.scores.items():
                rows.append(self._row(method, case, study, name, absent, present))
            if progress is not None:
                progress(done, total)
        return Outcome(tuple(rows))

    def studies(self, method: Method, case: Case, *, seed: int = 0) -> Iterator[Study]:
        """The scores that `measure` reduces, lesion after lesion; parameters and errors as there."""
        realisations.noise_level(case)
        fine = case.operator.refine(FACTOR)
        mean = realisations.background(case, self.background)
        clean = method(mean, case.operator)
        for i, diameter in enumerate(self.diameters_px):
            sites = places(case, diameter=diameter, count=self.sites, seed=seed)
            contrasts = self.contrasts or self._contrasts(case, fine, sites, diameter)
            largest = max(contrasts, key=abs)
            for k, site in enumerate(sites):
                for j, contrast in enumerate((*contrasts, *((0.0,) if self.sham else ()))):
                    detail = insert_lesion(case, fine, site=site, diameter=diameter, contrast=contrast or largest)
                    data = detail.data if contrast else torch.zeros_like(detail.data)
                    yield self._study(method, case, detail, contrast, clean, (mean, mean + data), (seed, i, k, j))

    def _contrasts(
        self, case: Case, fine: LinearOperator, sites: Sequence[tuple[int, int]], diameter: float
    ) -> tuple[float, ...]:
        """Contrasts for the `levels`: the ideal observer's ``d'`` is proportional to contrast."""
        whole = [insert_lesion(case, fine, site=site, diameter=diameter, contrast=1.0) for site in sites]
        slope = statistics.mean([detectability(detail.data, case.noise_std) or 0.0 for detail in whole])
        if not slope > 0:
            raise DataError(f"case {case.name}", expected="a lesion that the scan sees", came="none", remedy="give contrasts")
        return tuple(level / slope for level in self.levels)

    def test_images(self, method: Method, case: Case, study: Study) -> tuple[Tensor, Tensor]:
        """The images that were scored, made once more: without the lesion and with it, ``(realisations, 1, H, W)`` each.

        A test does not keep them; for `export.export_study`.
        """
        absent, present = (
            torch.cat(
                list(
                    realisations.images(
                        method, case, mean, count=self.realisations, stream=(*study.stream, kind, 0), batch=self.batch
                    )
                )
            )
            for kind, mean in enumerate(study.means)
        )
        return absent, present

    def _study(
        self,
        method: Method,
        case: Case,
        detail: Insertion,
        contrast: float,
        clean: Tensor,
        means: tuple[Tensor, Tensor],
        stream: tuple[int, ...],
    ) -> Study:
        """All templates' responses to all images, image by image, and then the scores of each observer."""
        shown = observers.magnitudes(detail.as_change_of(case, clean.abs()))[0, 0]  # of magnitudes, in MRI
        bank = torch.cat([shown[None], self._channels(detail, (shown.shape[0], shown.shape[1]))])
        step = observers.rounding(bank, clean)

        def responses(kind: int, part: int, count: int) -> Array:
            made = realisations.images(method, case, means[kind], count=count, stream=(*stream, kind, part), batch=self.batch)
            return observers.settle(np.concatenate([observers.respond(bank, batch) for batch in made]), step)

        tested = [responses(kind, 0, self.realisations) for kind in (0, 1)]
        scores: dict[ObserverName, tuple[Array, Array]] = {}
        if "npw" in self.observers:
            scores["npw"] = (tested[0][:, 0], tested[1][:, 0])
        if "cho" in self.observers:
            trained = [responses(kind, 1, self.training)[:, 1:] for kind in (0, 1)]
            weights = observers.hotelling_weights(trained[0], trained[1])
            scores["cho"] = (observers.weigh(tested[0][:, 1:], weights), observers.weigh(tested[1][:, 1:], weights))
        return Study(detail, contrast, scores, means, stream)

    def _channels(self, detail: Insertion, shape: tuple[int, int]) -> Tensor:
        if "cho" not in self.observers:
            return torch.zeros(0, *shape, dtype=torch.float64)
        if self.channels == "laguerre-gauss":
            width = channels.matched_width(detail.diameter)
            return channels.laguerre_gauss(shape, centre=detail.site, width=width, count=self.count)
        return channels.difference_of_gaussians(shape, centre=detail.site, count=self.count)

    def _row(
        self, method: Method, case: Case, study: Study, name: ObserverName, absent: Array, present: Array
    ) -> DetectabilityRow:
        area, index = figures.auc(absent, present), figures.detectability_index(absent, present)
        visible = detectability(study.detail.data, case.noise_std) if study.contrast else 0.0
        assert area.value is not None  # an AUC can always be had
        assert visible is not None  # the noise level is known: see `realisations.noise_level`
        ideal = figures.auc_of(visible)
        trained = name == "cho"
        return DetectabilityRow(
            case=case.name,
            method=method.name,
            observer=name,
            site=f"({study.detail.site[0]}, {study.detail.site[1]})",
            diameter_px=study.detail.diameter,
            contrast=study.contrast,
            realisations=self.realisations,
            training=self.training if trained else 0,
            channels=self.count if trained else 0,
            auc=area.value,
            auc_interval=area.interval,
            detectability=index.value,
            detectability_interval=index.interval,
            data_detectability=visible,
            ideal_auc=ideal,
            carried=ideal >= THRESHOLD_AUC,
        )
