"""Observers on images of another simulator: filtered back-projections of a low-contrast phantom with four discs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from stabtest.stability.detectability import TemplateObserver, auc, detectability_index, hotelling
from stabtest.stability.detectability.channels import laguerre_gauss, matched_width

DATA = os.environ.get("STABTEST_DATA")
pytestmark = [pytest.mark.realdata, pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")]
SIDE, HALF, WATER = 256, 12, 1000


def read(name):
    path = Path(DATA or "") / "ct-lowcontrast" / f"{name}.raw"
    return np.fromfile(path, "<i2").reshape(SIDE, SIDE).astype(float)


def stack(kind):
    return torch.from_numpy(np.stack([read(f"{kind}_{k:03d}") for k in range(1, 7)])[:, None])


@pytest.fixture(scope="module")
def discs():
    """Signal, middle, contrast and diameter of each disc, from the ground truth; smallest first."""
    truth = read("ground_truth")
    labels, count = ndimage.label((truth > WATER) & (truth < WATER + 60))
    found = []
    for k in range(1, count + 1):
        signal = np.where(labels == k, truth - WATER, 0)
        diameter = 2 * np.sqrt(signal.sum() / signal.max() / np.pi)  # of the disc of equal volume
        found.append((signal, ndimage.center_of_mass(signal), signal.max(), diameter))
    return sorted(found, key=lambda disc: disc[3])


def noise_of(signal, middle, absent):
    """Standard deviation of a template's score at 24 places as far from the axis, where nothing is either."""
    y, x = middle[0] - 127.5, middle[1] - 127.5
    radius, first = np.hypot(y, x), np.arctan2(y, x)
    variances = []
    for angle in first + 2 * np.pi * np.arange(24) / 24:
        shift = (round(127.5 + radius * np.sin(angle) - middle[0]), round(127.5 + radius * np.cos(angle) - middle[1]))
        variances.append(TemplateObserver(torch.from_numpy(np.roll(signal, shift, (0, 1)))).score(absent).var(ddof=1))
    return float(np.sqrt(np.mean(variances)))


def test_the_phantom_is_what_it_is_said_to_be(discs):
    assert [round(contrast) for *_, contrast, _ in discs] == [14, 7, 5, 3]
    assert [diameter for *_, diameter in discs] == pytest.approx([4.7, 7.8, 10.9, 15.5], abs=0.1)


def test_the_four_discs_are_as_detectable_as_their_size_and_contrast_predict(discs):
    """Six images with and six without: bounds of d' at a level shared among the four discs hold the prediction.

    The phantom is made so that the four discs are about equally hard, d' = 1.7 to 2.0 by the noise of other places: so few images
    cannot put them in an order (a difference of d' has a standard error of about 1), and no order is asked of them.
    """
    absent, present = stack("signal_absent"), stack("signal_present")
    predictions = []
    for signal, middle, *_ in discs:
        observer = TemplateObserver(torch.from_numpy(signal))
        found = detectability_index(observer.score(absent), observer.score(present), level=1 - 0.05 / 8)
        predictions.append(float((signal**2).sum()) / noise_of(signal, middle, absent))
        assert found.value > 0
        assert found.interval.lower <= predictions[-1] <= found.interval.upper
    assert max(predictions) < 1.3 * min(predictions)


def test_the_four_discs_together_are_detected(discs):
    observer = TemplateObserver(torch.from_numpy(sum(signal for signal, *_ in discs)))
    found = auc(observer.score(stack("signal_absent")), observer.score(stack("signal_present")))
    assert found.interval.lower > 0.5


def test_observers_rank_discs_in_real_noise_as_contrast_and_size_predict(discs):
    """The discs' shapes, put into noise cut from the images without: at one contrast by size, at one size by contrast.

    Places do not overlap; the observer is trained on places of three images and tested on those of the other three, half of
    them with the disc.
    """
    absent = stack("signal_absent")
    grid = np.arange(127 - 75, 127 + 76, 2 * HALF + 1)
    places = [(r, c) for r in grid for c in grid if np.hypot(r - 127.5, c - 127.5) < 75]

    def cut(images):
        return torch.stack([images[..., r - HALF : r + HALF + 1, c - HALF : c + HALF + 1] for r, c in places], 1).flatten(0, 1)

    training, testing = cut(absent[:3]), cut(absent[3:])

    def indices(shape, contrast, diameter):
        signal = torch.from_numpy(contrast * shape)
        bank = laguerre_gauss(tuple(shape.shape), centre=(HALF, HALF), width=matched_width(diameter), count=3)
        trained = hotelling(bank, training[::2], training[1::2] + signal)
        return [
            detectability_index(observer.score(testing[::2]), observer.score(testing[1::2] + signal)).value
            for observer in (TemplateObserver(signal), trained)
        ]

    shapes = []
    for signal, middle, contrast, diameter in discs:
        r, c = (round(m) for m in middle)
        shapes.append((signal[r - HALF : r + HALF + 1, c - HALF : c + HALF + 1] / contrast, diameter))
    by_size = np.array([indices(shape, 8.0, diameter) for shape, diameter in shapes])
    by_contrast = np.array([indices(shapes[1][0], contrast, shapes[1][1]) for contrast in (4.0, 8.0, 16.0)])
    assert (np.diff(by_size, axis=0) > 0).all()
    assert (np.diff(by_contrast, axis=0) > 0).all()
    # The fixed template is linear: its d' is proportional to contrast but for the chance difference of the two halves.
    slope = np.diff(by_contrast[:, 0]) / [4.0, 8.0]
    assert slope[1] == pytest.approx(slope[0], rel=1e-6)
