"""Cells and their segmentation: images from a seed, scores by counting, the card of the trained network."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from scipy import ndimage

import reconstructors
from experiments.training import segmentation
from experiments.training.cells import cells

NAME = "lecture-unet-cells"


def test_images_come_from_their_seed():
    (one, classes), (again, same), (other, _) = cells(48, seed=3), cells(48, seed=3), cells(48, seed=4)
    assert torch.equal(one, again)
    assert torch.equal(classes, same)
    assert not torch.equal(one, other)


def test_membranes_part_the_cells():
    """More than a handful of connected cells, none of them most of the image."""
    for seed in range(3):
        _, classes = cells(96, seed=seed)
        parts, count = ndimage.label(classes.numpy())
        assert count > 8
        assert np.bincount(parts.ravel())[1:].max() < 0.3 * classes.numel()


def test_membranes_are_darker_than_cells():
    image, classes = cells(96, seed=1)
    assert image[0][classes == 0].mean() < image[0][classes == 1].mean() - 0.2


def test_iou_is_that_of_counting():
    generator = np.random.default_rng(0)
    found, truth = (generator.integers(0, 2, (3, 5, 4)) for _ in range(2))
    expected = [
        np.mean([np.sum((f == k) & (t == k)) / np.sum((f == k) | (t == k)) for f, t in zip(found, truth)]) for k in (0, 1)
    ]
    scores = segmentation.intersection_over_union(torch.from_numpy(found), torch.from_numpy(truth))
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-6)


def test_windows_keep_image_and_classes_together(monkeypatch):
    monkeypatch.setattr(segmentation, "WINDOW", 16)
    classes = torch.randint(0, 2, (2, 20, 20), generator=torch.Generator().manual_seed(0))
    image, target = segmentation.windows(classes[:, None].float(), classes, generator=torch.Generator().manual_seed(1))
    assert image.shape == (segmentation.BATCH, 1, 16, 16)
    assert torch.equal(image[:, 0].long(), target)


def test_card_is_that_of_the_weights():
    entry = reconstructors.load(NAME)
    assert hashlib.sha256(entry.weights.read_bytes()).hexdigest() == entry.card["sha256"]
    assert entry.weights.stat().st_size < 16e6
    assert entry.card["parameters"] == 1_925_058


def test_network_is_ahead_of_a_threshold_that_knows_the_truth():
    held = reconstructors.load(NAME).card["held_out"]["iou"]
    for kind in ("membrane", "cell"):
        assert held["network"][kind] > held["threshold"][kind] + 0.02


def test_held_out_figures_come_back():
    entry = reconstructors.load(NAME)
    images, classes = segmentation.draw(segmentation.HELD_OUT_SEED, 4)
    scores = segmentation.intersection_over_union(torch.cat([entry.module(image[None]).argmax(1) for image in images]), classes)
    held = entry.card["held_out"]["iou"]["network"]
    assert scores.tolist() == pytest.approx([held["membrane"], held["cell"]], abs=0.06)  # four images of twenty


@pytest.mark.slow
def test_first_steps_reproduce_the_recorded_loss_curve():
    _, curve = segmentation.train(*segmentation.draw(segmentation.TRAINING_SEED, segmentation.IMAGES), only_steps=20)
    recorded = dict(map(tuple, reconstructors.load(NAME).card["loss_curve"]))
    for step, loss in curve:
        assert loss == pytest.approx(recorded[step], rel=0.05)
