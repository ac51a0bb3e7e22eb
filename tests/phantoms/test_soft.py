import math

import numpy as np
import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import depth, soft_ellipse

SHAPE = {"centre": (30.3, 33.8), "diameter": 12.0, "edge": 0.8, "aspect": 2.0, "degrees": 30.0}


def moments(image):
    """Area, mean row, mean column and the second central moments, from the pixels."""
    h = image[0].double().numpy()
    r, c = np.indices(h.shape)
    area = h.sum()
    mean = (r * h).sum() / area, (c * h).sum() / area
    second = [((r - mean[0]) ** 2 * h).sum(), ((c - mean[1]) ** 2 * h).sum(), ((r - mean[0]) * (c - mean[1]) * h).sum()]
    return area, mean, np.array(second)


@pytest.mark.parametrize("aspect", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("edge", [0.5, 2.0])
def test_the_area_is_that_of_the_disc(aspect, edge):
    image = soft_ellipse(64, centre=(30.3, 33.8), diameter=12, edge=edge, aspect=aspect, degrees=20)
    assert float(image.double().sum()) == pytest.approx(math.pi * 36, rel=2e-4)


def test_centre_and_second_moments_are_those_of_the_closed_form():
    area, mean, second = moments(soft_ellipse(64, **SHAPE))
    ab = 36 - 0.8**2
    a, b = math.sqrt(ab * 2), math.sqrt(ab / 2)
    s = 0.8 / math.sqrt(ab)
    along, across = (math.pi * p**3 * q * (1 + 6 * s**2 + 3 * s**4) / 4 for p, q in ((a, b), (b, a)))
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    expected = [along * sin**2 + across * cos**2, along * cos**2 + across * sin**2, (along - across) * sin * cos]
    expected = np.array(expected) + area / 12 * np.array([1, 1, 0])  # a pixel has a second moment of its own
    assert mean == pytest.approx(SHAPE["centre"], abs=1e-3)
    assert second == pytest.approx(expected, rel=1e-3)


def test_the_finer_image_is_the_same_object():
    fine, coarse = (soft_ellipse(size, **SHAPE, nominal=64) for size in (256, 64))
    assert torch.allclose(torch.nn.functional.avg_pool2d(fine, 4), coarse, atol=2e-3)


def test_beyond_the_image_nothing_is_drawn():
    assert float(soft_ellipse(16, centre=(-40, 8), diameter=6, edge=1).sum()) == 0


@pytest.mark.parametrize(("edge", "aspect"), [(0.0, 1.0), (4.0, 1.0), (1.0, 0.5)])
def test_impossible_shapes_are_refused(edge, aspect):
    with pytest.raises(ConfigError):
        soft_ellipse(32, centre=(16, 16), diameter=12, edge=edge, aspect=aspect)


def test_the_depth_of_a_disc_is_the_distance_to_its_rim():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    radius = torch.hypot(rows - 31.5, columns - 31.5)
    deep = depth((radius < 24).float()[None])
    inside = radius < 20
    assert torch.allclose(deep[inside], 24 - radius[inside].double(), atol=3)
    assert float(deep[0, 0]) == 0
