import dataclasses
import math

import pytest
import torch

from stabtest.errors import ConfigError, DataError
from stabtest.operators import Identity
from stabtest.stability.cases import Case, Method
from stabtest.stability.detectability.realisations import background, images, measurements


def drawn(case, count=64, stream=(0,), **how):
    return torch.cat(list(measurements(case, case.measurement, count=count, stream=stream, **how)))


def test_the_noise_has_the_level_of_the_case(mri, ct):
    """A complex sample has half of the variance in each part; nothing is added where nothing is measured."""
    noise = drawn(mri) - mri.measurement
    measured = mri.operator.restrict(torch.ones_like(mri.measurement)).abs().expand(len(noise), *noise.shape[1:]) > 0
    assert bool((noise[~measured] == 0).all())
    parts = torch.view_as_real(noise[measured])
    assert parts.std(0).tolist() == pytest.approx([mri.noise_std / math.sqrt(2)] * 2, rel=0.02)
    assert float((drawn(ct) - ct.measurement).std()) == pytest.approx(ct.noise_std, rel=0.02)


def test_streams_share_no_noise(ct):
    one, other, again = (drawn(ct, stream=stream) - ct.measurement for stream in ((3, 0, 1), (3, 1, 0), (3, 0, 1)))
    assert bool((one == again).all())
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.02
    assert abs(float(torch.corrcoef(one.flatten(1)[:2])[0, 1])) < 0.1


def test_the_size_of_a_batch_changes_nothing(mri):
    assert bool((drawn(mri, count=7, batch=3) == drawn(mri, count=7, batch=100)).all())
    assert [len(y) for y in measurements(mri, mri.measurement, count=7, stream=(0,), batch=3)] == [3, 3, 1]


def test_images_come_from_the_method(mri):
    zero_filled = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
    made = torch.cat(list(images(zero_filled, mri, mri.measurement, count=3, stream=(1,), batch=2)))
    assert torch.allclose(made, mri.operator.pseudo_inverse(drawn(mri, count=3, stream=(1,))))


def test_the_truth_as_background_has_no_noise(mri):
    assert torch.allclose(background(mri, "truth"), mri.operator.forward(mri.truth))
    assert background(mri) is mri.measurement
    with pytest.raises(DataError, match="a truth"):
        background(dataclasses.replace(mri, truth=None), "truth")
    with pytest.raises(ConfigError, match="measurement or truth"):
        background(mri, "other")


@pytest.mark.parametrize("level", [None, 0.0, math.nan, math.inf])
def test_a_noise_level_that_says_nothing_is_an_error(level):
    case = Case("a", "a", "other", Identity((8, 8)), torch.ones(1, 1, 8, 8), noise_std=level)
    with pytest.raises(DataError, match="standard deviation of the noise"):
        drawn(case)


def test_an_empty_batch_is_an_error(ct):
    with pytest.raises(ConfigError, match="batch"):
        drawn(ct, batch=0)
