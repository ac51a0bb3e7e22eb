import math

import numpy as np
import pytest
import torch

from stabtest.errors import DataError
from stabtest.stability.detectability import auc, detectability_index
from stabtest.stability.detectability.channels import laguerre_gauss
from stabtest.stability.detectability.observers import (
    TemplateObserver,
    hotelling,
    hotelling_weights,
    magnitudes,
    non_prewhitening,
    respond,
    trained_detectability,
)

SIDE = 12


@pytest.fixture(scope="module")
def task():
    """A round signal in Gaussian noise of a known, far from white covariance."""
    r = np.arange(SIDE)
    points = np.stack(np.meshgrid(r, r, indexing="ij"), -1).reshape(-1, 2)
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    covariance = np.exp(-(distance**2) / 8) + 0.3 * np.eye(SIDE**2)
    signal = 1.2 * np.exp(-((points - 5.5) ** 2).sum(1) / 6)
    return covariance, signal


def draw(task, count, seed):
    covariance, signal = task
    root = np.linalg.cholesky(covariance)
    noise = np.random.default_rng(seed).standard_normal((2 * count, SIDE**2)) @ root.T
    noise[count:] += signal
    images = torch.from_numpy(noise.reshape(-1, 1, SIDE, SIDE)) + 10
    return images[:count], images[count:]


def channels():
    return laguerre_gauss((SIDE, SIDE), centre=(5.5, 5.5), width=5.0, count=4)


def ideal_channelised(task):
    covariance, signal = task
    u = channels().flatten(1).numpy()
    means, responses = u @ signal, u @ covariance @ u.T
    return math.sqrt(means @ np.linalg.solve(responses, means))


def test_the_fixed_template_reaches_its_closed_form(task):
    covariance, signal = task
    expected = signal @ signal / math.sqrt(signal @ covariance @ signal)
    observer = TemplateObserver(torch.from_numpy(signal.reshape(SIDE, SIDE)))
    found = detectability_index(*(observer.score(images) for images in draw(task, 20000, 0)))
    assert found.value == pytest.approx(expected, rel=0.02)


def test_the_hotelling_observer_reaches_its_closed_form(task):
    observer = hotelling(channels(), *draw(task, 5000, 1))
    found = detectability_index(*(observer.score(images) for images in draw(task, 20000, 2)))
    assert found.value == pytest.approx(ideal_channelised(task), rel=0.02)


def test_prewhitening_pays_in_correlated_noise(task):
    covariance, signal = task
    assert ideal_channelised(task) > 1.1 * signal @ signal / math.sqrt(signal @ covariance @ signal)


def test_the_hotelling_template_is_the_one_of_the_formula(task):
    absent, present = draw(task, 400, 3)
    observer = hotelling(channels(), absent, present)
    u = channels().flatten(1).numpy()
    v0, v1 = (images.flatten(1).numpy() @ u.T for images in (absent, present))
    s = (np.cov(v0.T) + np.cov(v1.T)) / 2
    expected = u.T @ np.linalg.solve(s, v1.mean(0) - v0.mean(0))
    assert np.allclose(observer.template.flatten().numpy(), expected, rtol=1e-6, atol=1e-9)
    assert np.allclose(observer.score(absent), absent.flatten(1).numpy() @ expected, atol=1e-6)


@pytest.mark.parametrize(("m", "n", "ideal"), [(4, 20, 1.5), (5, 25, 2.0), (5, 64, 1.0), (10, 50, 3.0)])
def test_the_loss_of_few_training_images_is_the_stated_one(m, n, ideal):
    """Many observers, each trained on n images; their exact d' on further images, since means and covariance are known."""
    rng = np.random.default_rng(4)
    shift = np.zeros(m)
    shift[0] = ideal
    gained, spread = [], []
    for _ in range(1500):
        w = hotelling_weights(rng.standard_normal((n, m)), rng.standard_normal((n, m)) + shift)
        gained.append(w @ shift)
        spread.append(w @ w)
    found = np.mean(gained) / math.sqrt(np.mean(spread))
    assert found == pytest.approx(trained_detectability(ideal, channels=m, images=n), rel=0.02)
    assert found < ideal


def test_scores_of_the_training_images_flatter(task):
    """The control: resubstitution looks better than the ideal, independent images look worse."""
    same, other = [], []
    for seed in range(60):
        absent, present = draw(task, 20, 10 + seed)
        observer = hotelling(channels(), absent, present)
        same.append(detectability_index(observer.score(absent), observer.score(present)).value)
        other.append(detectability_index(*(observer.score(images) for images in draw(task, 200, 5000 + seed))).value)
    assert np.mean(same) > 1.05 * ideal_channelised(task)
    assert np.mean(other) < 0.97 * ideal_channelised(task)


def test_too_few_training_images_are_refused(task):
    absent, present = draw(task, 19, 5)
    with pytest.raises(DataError, match="at least 20 training images of each kind"):
        hotelling(channels(), absent, present)
    hotelling(channels(), *draw(task, 20, 5))


def test_units_and_channel_scales_do_not_matter(task):
    train, test = draw(task, 50, 6), draw(task, 100, 7)
    scores = []
    for unit, scale in ((1.0, 1.0), (1e-6, 1e3)):
        bank = channels() * torch.tensor([1.0, scale, 1.0, 1 / scale])[:, None, None]
        observer = hotelling(bank, *(unit * images for images in train))
        scores.append(detectability_index(*(observer.score(unit * images) for images in test)).value)
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)


def test_two_channels_that_are_alike_are_no_disaster(task):
    bank = torch.cat([channels(), channels()[:1]])
    observer = hotelling(bank, *draw(task, 2000, 8))
    found = detectability_index(*(observer.score(images) for images in draw(task, 5000, 9)))
    assert found.value == pytest.approx(ideal_channelised(task), rel=0.04)


def test_images_that_never_vary_tell_nothing():
    fixed = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).expand(30, -1, -1, -1)
    observer = hotelling(channels(), fixed, fixed)
    assert auc(observer.score(fixed), observer.score(fixed)).value == 0.5


def test_a_trained_template_is_the_mean_difference(task):
    absent, present = draw(task, 30, 10)
    expected = (present.mean(0) - absent.mean(0))[0]
    assert torch.allclose(non_prewhitening(absent, present).template, expected)


def test_readers_see_magnitudes():
    images = torch.full((2, 1, 3, 3), 3 - 4j)
    assert magnitudes(images).unique().tolist() == [5.0]
    assert magnitudes(-torch.ones(1, 1, 2, 2)).unique().tolist() == [-1.0]
    assert respond(torch.ones(1, 3, 3), images).tolist() == [[45.0], [45.0]]


def test_images_of_another_size_are_refused():
    with pytest.raises(DataError, match="images"):
        TemplateObserver(torch.ones(4, 4)).score(torch.ones(2, 1, 4, 5))
    with pytest.raises(DataError, match="responses"):
        hotelling_weights(np.zeros((9, 1)), np.zeros((9, 2)))
