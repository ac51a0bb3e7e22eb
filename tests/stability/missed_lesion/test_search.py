import dataclasses
import math

import pytest
import scipy.ndimage
import torch

from stabtest.errors import DataError, NetworkError
from stabtest.metrics import smooth
from stabtest.operators import Fourier, Identity
from stabtest.stability.cases import Case, Method
from stabtest.stability.missed_lesion import LesionBox, search_lesion
from stabtest.stability.missed_lesion.climb import Climb
from stabtest.stability.structure import LEAST_DETECTABILITY, detectability

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
BOX = LesionBox(diameters=(3.0, 6.0), contrasts=(0.1, 0.3), polarity="bright")
PLACE = (19.0, 28.0)


def bump(shape, place=PLACE, width=2.5):
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    return torch.exp(-0.5 * ((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / width**2)


def erases_at(place=PLACE, width=2.5):
    """A network that smooths lesions away at one place only, and shows everything everywhere else."""

    def reconstruct(y, A):
        image = A.pseudo_inverse(y)
        blurred = smooth(image, sigma=8.0)
        return image + bump(image.shape[-2:], place, width) * (blurred - image)

    return Method("net", "under test", reconstruct)


def test_a_place_that_the_grid_misses_is_found_by_the_descent(full_mri):
    found = search_lesion(erases_at(), full_mri, BOX, places=9, evaluations=80)
    assert found.grid_recovery > 0.55
    assert found.recovery < 0.35
    assert math.hypot(found.lesion.row - PLACE[0], found.lesion.column - PLACE[1]) < 2
    assert found.gradient == "autograd"
    assert found.evaluations <= 80


def test_the_grid_alone_does_miss_it(full_mri):
    """Control: with the budget of the grid nothing below it is found."""
    found = search_lesion(erases_at(), full_mri, BOX, places=9, evaluations=9)
    assert found.recovery == found.grid_recovery > 0.55


def test_a_linear_method_with_all_samples_loses_nothing(full_mri):
    found = search_lesion(DIRECT, full_mri, dataclasses.replace(BOX, polarity="both"), places=6, evaluations=40)
    assert found.recovery > 0.99


def test_without_a_gradient_differences_lead_there_too(full_mri):
    net = erases_at()

    def opaque(y, A):
        return torch.from_numpy(net.reconstruct(y, A).detach().numpy().copy())

    found = search_lesion(Method("net", "under test", opaque), full_mri, BOX, places=9, evaluations=160)
    assert found.gradient == "differences"
    assert found.recovery < 0.4


def test_a_gradient_that_lies_is_not_followed(full_mri):
    net = erases_at()

    def lying(y, A):
        image = net.reconstruct(y, A)
        return image.detach() + 0.5 * (A.pseudo_inverse(y) - A.pseudo_inverse(y).detach()) * bump(image.shape[-2:], (40, 10), 9)

    found = search_lesion(Method("net", "under test", lying), full_mri, BOX, places=9, evaluations=160)
    assert found.gradient == "differences"
    assert found.recovery < 0.4


def test_the_size_that_is_lost_is_found(full_mri):
    """A network that loses small lesions everywhere: the smallest of the box comes back least."""

    def coarse(y, A):
        return smooth(A.pseudo_inverse(y), sigma=1.5)

    found = search_lesion(Method("net", "under test", coarse), full_mri, BOX, places=4, evaluations=40)
    assert found.lesion.diameter == pytest.approx(3.0, abs=0.05)


def test_the_height_that_is_lost_is_found(ct):
    """A network that shrinks faint differences from its smooth background, and keeps strong ones."""

    def shrink(y, A):
        image = A.pseudo_inverse(y)
        rest = image - smooth(image, sigma=6.0)
        level = 0.15 * float(ct.peak)
        return image - level * torch.tanh(rest / level)

    found = search_lesion(Method("net", "under test", shrink), ct, BOX, places=6, evaluations=60)
    assert found.recovery < found.grid_recovery
    assert abs(found.lesion.contrast) < 0.15


def test_dark_lesions_are_searched_where_they_are_asked_for():
    """A network that fills in dark lesions and keeps bright ones, on a flat object."""
    flat = torch.ones(1, 1, 48, 48)
    case = Case("flat", "flat", "other", Identity((48, 48)), flat, truth=flat)

    def fill(y, A):
        return torch.from_numpy(scipy.ndimage.grey_closing(y[0, 0].numpy(), size=(11, 11)))[None, None]

    net = Method("net", "under test", fill)
    dark, bright, both = (
        search_lesion(net, case, dataclasses.replace(BOX, polarity=polarity), places=6, evaluations=24)
        for polarity in ("dark", "bright", "both")
    )
    assert dark.recovery < 0.05 < 0.9 < bright.recovery
    assert both.lesion.contrast < 0


def test_ellipses_are_turned_to_where_they_come_back_least(full_mri):
    """A network that blurs along the rows only: a long lesion across them loses most."""

    def blur(y, A):
        image = A.pseudo_inverse(y)
        parts = [torch.from_numpy(scipy.ndimage.gaussian_filter1d(p.numpy(), 3.0, axis=-1)) for p in (image.real, image.imag)]
        return torch.complex(*parts)

    box = LesionBox(diameters=(6.0, 6.0), contrasts=(0.2, 0.2), polarity="bright", aspect=2.5)
    found = search_lesion(Method("net", "under test", blur), full_mri, box, places=4, evaluations=150)
    assert found.lesion.aspect > 2
    assert abs(found.lesion.degrees % 180 - 90) < 20


@pytest.mark.parametrize("kind", ["mri", "ct"])
def test_the_gradient_is_that_of_differences(kind, request):
    case = request.getfixturevalue(kind)
    climb = Climb(erases_at(width=6.0), case, dataclasses.replace(BOX, aspect=2.0), 200, None)
    climb.spacing = 8.0
    from stabtest.stability.missed_lesion import Lesion

    at = climb.admit(Lesion(21.0, 26.0, 4.5, 0.2, 1.5, 40.0))
    own, differences = climb._own(at), climb._differences(at)
    assert torch.dot(own, differences) > 0.98 * own.norm() * differences.norm()


def test_every_lesion_that_counts_is_carried_by_the_data(make_mri):
    """In noise the faint lesions of the box are not measured; the found one is above the gate."""
    case = make_mri(std=0.03)
    faint = LesionBox(diameters=(3.0, 6.0), contrasts=(0.001, 0.5), polarity="bright")
    found = search_lesion(
        Method("net", "under test", lambda y, A: 0 * A.pseudo_inverse(y)), case, faint, places=6, evaluations=30
    )
    from stabtest.stability.missed_lesion import put_in

    assert detectability(put_in(case, found.lesion).data, case.noise_std) >= LEAST_DETECTABILITY


def test_a_lesion_that_nobody_measured_is_nobodys_fault(make_mri):
    case = make_mri(std=0.05)
    hidden = LesionBox(diameters=(2.0, 3.0), contrasts=(0.001, 0.01))
    found = search_lesion(
        Method("net", "under test", lambda y, A: 0 * A.pseudo_inverse(y)), case, hidden, places=6, evaluations=20
    )
    assert (found.lesion, found.evaluations) == (None, 0)
    assert found.set_aside > 0


@pytest.mark.parametrize("level", [None, 1e-9])
def test_what_lies_in_the_null_space_is_set_aside_whatever_the_noise(full_mri, level):
    """Only the finest frequencies are measured: small lesions leave a trace in the data, and no method can be asked to show them."""
    mask = torch.zeros(48, 48, dtype=torch.bool)
    mask[:, :2] = True
    operator = Fourier(mask)
    case = dataclasses.replace(
        full_mri, operator=operator, measurement=full_mri.measurement * mask, noise_std=level, resample=None
    )
    box = LesionBox(diameters=(5.0, 6.0), contrasts=(0.1, 0.3), polarity="bright")
    found = search_lesion(
        Method("net", "under test", lambda y, A: 0 * A.pseudo_inverse(y)), case, box, places=6, evaluations=20
    )
    assert found.lesion is None
    assert found.set_aside > 0


def test_the_same_seed_finds_the_same(ct):
    one, other = (search_lesion(erases_at(), ct, BOX, places=4, evaluations=20, seed=3) for _ in range(2))
    assert one == other


def test_more_budget_finds_no_less(full_mri):
    few, many = (search_lesion(erases_at(), full_mri, BOX, places=9, evaluations=n) for n in (30, 60))
    assert many.recovery <= few.recovery
    assert many.half_recovery == few.recovery


def test_the_budget_is_the_number_of_reconstructions(full_mri):
    calls = []

    def counted(y, A):
        calls.append(1)
        return A.pseudo_inverse(y)

    found = search_lesion(Method("net", "under test", counted), full_mri, BOX, places=5, evaluations=33)
    assert len(calls) - 1 == found.evaluations == 33


def test_a_body_without_room_is_told(full_mri):
    with pytest.raises(DataError, match="room"):
        search_lesion(DIRECT, full_mri, LesionBox(diameters=(60.0, 60.0)), places=4, evaluations=5)


def test_an_image_that_is_no_image_is_refused(full_mri):
    with pytest.raises(NetworkError):
        search_lesion(Method("net", "under test", lambda y, A: A.pseudo_inverse(y) * math.nan), full_mri, BOX, evaluations=4)
