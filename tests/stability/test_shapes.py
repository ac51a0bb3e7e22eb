import dataclasses
import math

import pytest
import scipy.ndimage
import torch

from stabtest.errors import ConfigError
from stabtest.metrics import smooth
from stabtest.operators import Identity
from stabtest.stability.cases import Case, Method
from stabtest.stability.shapes import BARS, PERIOD, SHAPES, draw_shape, gaps_between, local_recovery, modulation, name_of
from stabtest.stability.structure import StructureTest

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
ONE = StructureTest(contrasts=(0.2,), sites=1, pictures=0, diameters_px=(7.0,))


def of(shape, **changes):
    return dataclasses.replace(ONE, shapes=(shape,), **changes)


def erases(y, A):
    """Everything of the size of a detail is smoothed away."""
    return smooth(A.pseudo_inverse(y), sigma=12.0)


AREAS = {  # of a shape of size 1
    **dict.fromkeys(("lesion", "disc", "gaussian", "irregular"), math.pi / 4),
    "vessel": (math.pi * (5 / 6) / (2 * math.sqrt(2)) + math.pi / 24) / 6,
    "line_pairs": 0.6,
    "line_pairs_turned": 0.6,
    "heart": (1 + math.pi / 4) / (3 / (2 * math.sqrt(2)) + 0.5) ** 2,
    "diamond": 0.375,
}
INK = (".###.#####", "#...#..#..", "#......#..", "#......#..", "#......#..", "#...#..#..", ".###...#..")
"""C and T in a 5 x 7 font, without the empty column between them; a line of "CT" is 11 cells long."""
AREAS["text"] = sum(row.count("#") for row in INK) / 11**2


@pytest.mark.parametrize("shape", sorted(AREAS))
def test_the_area_is_that_of_the_closed_form(shape):
    image = draw_shape(shape, 128, nominal=64, site=(30.3, 33.1), size=18, seed=3)
    assert float(image.double().sum()) / 4 == pytest.approx(AREAS[shape] * 18**2, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_finer_image_is_the_same_object(shape):
    fine, coarse = (draw_shape(shape, n, nominal=64, site=(30, 33), size=9, seed=3) for n in (256, 128))
    assert torch.allclose(torch.nn.functional.avg_pool2d(fine, 2), coarse, atol=0.03)
    assert 0 <= float(coarse.min()) <= float(coarse.max()) <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["full_mri", "ct"])
def test_a_method_that_shows_everything_passes(shape, kind, request):
    (row,) = of(shape).measure(DIRECT, request.getfixturevalue(kind), seed=0).rows
    assert row.detail == name_of(shape)
    assert row.identifiable
    near = 1e-3 if kind == "full_mri" else 0.35  # filtered back-projection from 40 views
    assert row.recovery == pytest.approx(1, abs=near)
    assert row.local_recovery == pytest.approx(1, abs=near)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_method_that_changes_nothing_passes_without_a_scan(shape):
    """The operator is the identity: what comes back is the template itself."""
    image = torch.ones(1, 1, 48, 48)
    case = Case("flat", "flat", "other", Identity((48, 48)), image, truth=image)
    (row,) = of(shape).measure(Method("net", "under test", lambda y, A: y), case, seed=0).rows
    assert (row.recovery, row.local_recovery) == (pytest.approx(1, abs=1e-5), pytest.approx(1, abs=1e-4))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_method_that_erases_it_fails(shape, full_mri):
    (row,) = of(shape).measure(Method("net", "under test", erases), full_mri, seed=0).rows
    assert row.identifiable
    assert abs(row.recovery) < 0.2
    assert abs(row.local_recovery) < 0.2


@pytest.mark.parametrize("shape", SHAPES)
def test_dark_is_the_mirror_image_of_bright(shape, full_mri):
    bright, dark = (of(shape, contrasts=(c,)).measure(DIRECT, full_mri, seed=0).rows[0] for c in (0.2, -0.2))
    for name in ("recovery", "local_recovery", "modulation", "data_detectability", "null_space_share"):
        one, other = getattr(bright, name), getattr(dark, name)
        assert one is other is None or one == pytest.approx(other, rel=1e-3, abs=1e-5), name


def test_modulation_is_given_for_line_pairs_only(full_mri):
    for shape in SHAPES:
        (row,) = of(shape, diameters_px=(11.0,)).measure(DIRECT, full_mri, seed=0).rows
        assert (row.modulation is not None) == shape.startswith("line_pairs")


def test_bars_that_are_smeared_together_keep_their_recovery_and_lose_their_modulation(full_mri):
    """Blur along the rows: upright bars become a smear, turned ones stay."""

    def blur(y, A):
        image = A.pseudo_inverse(y)
        parts = [
            torch.from_numpy(scipy.ndimage.gaussian_filter1d(part.numpy(), 1.6, axis=-1)) for part in (image.real, image.imag)
        ]
        return torch.complex(*parts)

    net = Method("net", "under test", blur)
    upright, turned = (
        of(shape, diameters_px=(10.0,)).measure(net, full_mri, seed=0).rows[0] for shape in ("line_pairs", "line_pairs_turned")
    )
    assert upright.modulation < 0.2 < 0.4 < upright.recovery
    assert turned.modulation > 0.6


def test_bars_that_the_pixels_cannot_hold_have_no_modulation(full_mri):
    """A period of 1.2 pixels is beyond Nyquist."""
    (row,) = of("line_pairs", diameters_px=(3.0,)).measure(DIRECT, full_mri, seed=0).rows
    assert row.modulation is None


def test_the_modulation_is_the_contrast_of_bars_and_gaps():
    """By hand on pixels that are bars and gaps as a whole: 0.7 on bars, 0.4 in gaps, of height 0.5."""
    at = {"nominal": 32, "site": (15.5, 15.5), "size": 10.0}
    bars, gaps = draw_shape("line_pairs", 32, **at)[None], gaps_between("line_pairs", 32, **at)[None]
    assert float((bars * gaps).max()) == 0
    assert float((bars + gaps).sum()) == pytest.approx(100)
    image = 0.7 * bars + 0.4 * gaps
    assert modulation(image, 0.5 * bars, bars, gaps, 0.5) == pytest.approx((0.7 - 0.4) / 0.5)
    assert modulation(0.5 * gaps, 0.5 * bars, bars, gaps, 0.5) == pytest.approx(-1)


def test_the_bars_fill_the_pattern():
    assert pytest.approx(1) == PERIOD * (BARS - 0.5)


def test_the_local_recovery_does_not_see_a_shift_of_the_surroundings():
    disc = draw_shape("disc", 48, nominal=48, site=(24, 24), size=8)[None]
    assert local_recovery(0.3 * disc + 5.0, disc, disc) == pytest.approx(0.3, abs=1e-4)


def test_a_detail_as_large_as_the_image_has_no_surroundings():
    full = torch.ones(1, 1, 16, 16)
    assert local_recovery(full, full, full) is None


def test_each_shape_has_its_own_sizes_and_the_same_places(full_mri):
    test = dataclasses.replace(ONE, shapes=("disc", "heart", "text"), sizes={"text": (10.0,)}, pixel_mm=0.5)
    rows = test.measure(DIRECT, full_mri, seed=0).rows
    assert [(row.detail, row.diameter_px, row.diameter_mm) for row in rows] == [
        ("disc", 7.0, 3.5),
        ("heart", 7.0, 3.5),
        ("text", 10.0, 5.0),
    ]
    assert rows[0].site == rows[1].site


def test_pictures_of_shapes_have_names_of_their_own(full_mri):
    shown = (
        dataclasses.replace(ONE, shapes=("lesion", "club", "irregular"), pictures=1).measure(DIRECT, full_mri, seed=0).pictures
    )
    assert len({p.id for p in shown}) == len(shown) == 9
    assert any("irregular tumour of 7 px" in p.caption for p in shown)


def test_tumours_differ_from_place_to_place_and_not_from_method_to_method(full_mri):
    two = of("irregular", sites=2)
    one, other = (two.measure(Method(name, "under test", DIRECT.reconstruct), full_mri, seed=0).rows for name in ("a", "b"))
    assert [row.data_detectability for row in one] == [row.data_detectability for row in other]
    assert not torch.equal(*(draw_shape("irregular", 64, nominal=64, site=(32, 32), size=12, seed=seed) for seed in (0, 1)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"shapes": ()},
        {"shapes": ("star",)},
        {"shapes": ("disc", "disc")},
        {"sizes": {"text": ()}},
        {"words": "€"},
        {"pixel_mm": 0.0},
    ],
)
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(ConfigError):
        StructureTest(**wrong)
