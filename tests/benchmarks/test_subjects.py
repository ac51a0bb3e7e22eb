"""What is attacked: images do not depend on their company, sizes of networks of a fixed size are kept."""

from __future__ import annotations

import torch

from benchmarks.strength import subjects
from experiments.training.recipe import HELD_OUT_SEED, TRAINING_SEED, TUNING_SEED


def test_image_does_not_depend_on_the_others_asked_for():
    one, three = subjects.load("tv-mri", 16, (2,)), subjects.load("tv-mri", 16, (0, 1, 2))
    assert torch.equal(one.measurement[0], three.measurement[2])
    assert one.digest == three.digest


def test_digest_tells_sizes_and_scans_apart():
    digests = {subjects.load(name, size, (0,)).digest for name in ("tv-mri", "tv-ct") for size in (16, 20)}
    assert len(digests) == 4


def test_shipped_networks_and_total_variation_are_attacked():
    assert {"unet-mri", "fbpconvnet-ell50", "tv-mri", "tv-ct"} <= set(subjects.names())


def test_size_of_training_unless_asked_otherwise():
    assert subjects.size_of("unet-mri", None) == 128
    assert subjects.size_of("unet-mri", 64) == 64
    assert all(
        subjects.size_of(name, 64) == subjects.RECIPES[name].size
        for name in subjects.RECIPES
        if "size" in subjects.RECIPES[name].network
    )


def test_no_image_was_trained_tuned_or_evaluated_on():
    for seed in (TRAINING_SEED, TUNING_SEED, HELD_OUT_SEED):
        assert abs(seed - subjects.FIRST_SEED) > 100_000
