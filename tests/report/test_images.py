import base64
import io

import numpy as np
import pytest

from stabtest.report import images
from stabtest.report.png import data_uri, encode_png


def decoded(uri):
    from PIL import Image

    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 33)])
def test_a_gray_png_reads_back_with_an_independent_decoder(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = decoded(data_uri(encode_png(pixels)))
    image.load()
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_palette_png_shows_the_colours_of_its_levels():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colours = np.asarray(decoded(data_uri(encode_png(pixels, images.palette("error")))).convert("RGB"))
    np.testing.assert_array_equal(colours.reshape(256, 3), images.palette("error"))


@pytest.mark.parametrize(("kind", "name"), [("error", "inferno"), ("signed", "RdBu_r")])
def test_the_palettes_are_those_of_matplotlib(kind, name):
    import matplotlib

    wanted = np.array([matplotlib.colormaps[name](level)[:3] for level in range(256)]) * 255
    assert np.abs(images.palette(kind) - wanted).max() < 3


def test_lightness_of_the_error_palette_only_grows():
    red, green, blue = images.palette("error").astype(float).T
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert np.all(np.diff(lightness) > -0.5)


def test_the_window_decides_the_gray_level(factory):
    values = np.array([[0.0, 0.25], [0.5, 2.0]])
    picture = factory.picture(values, section="data", case="a", method="m", role="truth", window=(0.0, 0.5))
    np.testing.assert_array_equal(np.asarray(decoded(images.source(picture))), [[0, 128], [255, 255]])


@pytest.mark.parametrize("change", [{"data": "!!!"}, {"data": "AAAA"}, {"shape": (3, 3)}, {"shape": (0, 4)}])
def test_a_picture_that_does_not_decode_is_absent_and_not_an_error(factory, change):
    picture = factory.picture(np.eye(4), section="data", case="a", method="m", role="truth").model_copy(update=change)
    assert images.source(picture) is None


@pytest.mark.parametrize("window", [(1.0, 1.0), (2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_an_unusable_window_falls_back_to_the_range_of_the_values(factory, window):
    picture = factory.picture(np.eye(4) * 3, section="data", case="a", method="m", role="truth", window=window)
    assert images.window(picture) == (0.0, 3.0)
    assert images.source(picture) is not None


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="non-empty"):
        encode_png(np.zeros((0, 3), dtype=np.uint8))
