"""Amplitudes of lesions against a least-squares fit, and what a search does with them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from stabtest.errors import SearchError
from stabtest.operators import Fourier
from stabtest.search import worst_case
from stabtest.search.objectives import vanishes_at_clean
from stabtest.search.targets import Lesion, LesionAppears, LesionVanishes, Target
from stabtest.stability.structure import recovery


def blob(size=20, centre=(9, 8), width=1.6, dtype=torch.float64, phase=0.0):
    rows, columns = torch.meshgrid(*[torch.arange(size, dtype=torch.float64)] * 2, indexing="ij")
    shape = torch.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * width**2))[None, None]
    region = shape > 0.2
    return (shape * (np.exp(1j * phase) if dtype.is_complex else 1)).to(dtype), region


def noise(seed, shape=(2, 1, 20, 20), dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("margin", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_amplitude_is_that_of_a_least_squares_fit_with_a_background(dtype, margin):
    """Oracle: NumPy's least squares on the neighbourhood, in real and imaginary parts."""
    template, region = blob(dtype=dtype, phase=0.4)
    image = noise(0, dtype=dtype)
    near = scipy.ndimage.binary_dilation(region[0, 0].numpy(), np.ones((2 * margin + 1, 2 * margin + 1)))
    t = template[0, 0].numpy()[near]
    u = np.full_like(t, np.exp(0.4j) if dtype.is_complex else 1)
    columns = [t, u, 1j * u] if dtype.is_complex else [t, u]
    design = np.stack([np.concatenate([c.real, c.imag]) for c in columns], 1)
    found = Lesion(template, region, margin=margin).amplitude(image)
    for k in range(2):
        data = image[k, 0].numpy()[near]
        expected = np.linalg.lstsq(design, np.concatenate([data.real, data.imag]), rcond=None)[0][0]
        assert found[k].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_without_margin_it_is_the_recovery_of_the_structure_test(dtype):
    template, region = blob(dtype=dtype, phase=-1.1)
    image, background = noise(0, dtype=dtype), noise(1, dtype=dtype)
    found = Lesion(template, region, background, margin=0).amplitude(image)
    for k in range(2):
        change = (image - background)[k : k + 1]
        # `recovery` weighs with the template on the region only, and so does the lesion
        assert found[k].item() == pytest.approx(recovery(change, template, region), rel=1e-9)


def test_the_amplitude_of_the_template_is_one_whatever_the_surroundings():
    template, region = blob(dtype=torch.complex128, phase=0.4)
    lesion = Lesion(template, region)
    for shift in (0.0, 3.0, -2j):
        assert lesion.amplitude(0.7 * template + shift).item() == pytest.approx(0.7, abs=1e-12)


def test_a_given_phase_is_followed():
    """The surroundings turn by the phase: what is uniform along it is no lesion."""
    ramp = torch.exp(1j * torch.linspace(-1, 1, 20, dtype=torch.float64)).expand(1, 1, 20, 20)
    template, region = blob()
    lesion = Lesion(template * ramp, region, phase=ramp)
    assert lesion.amplitude((0.5 * template + 2) * ramp).item() == pytest.approx(0.5, abs=1e-12)
    blind = Lesion(template * ramp, region)
    assert abs(blind.amplitude((0.5 * template + 2) * ramp).item() - 0.5) > 0.02


def test_a_lesion_out_of_phase_is_none():
    template, region = blob(dtype=torch.complex128)
    assert Lesion(template, region).amplitude(1j * template).item() == pytest.approx(0, abs=1e-12)


def test_vanishing_and_appearing_are_opposite_and_do_not_vanish():
    template, region = blob()
    lesion, x = Lesion(template, region), noise(3)
    assert torch.equal(LesionVanishes(lesion)(x), -LesionAppears(lesion)(x))
    assert not vanishes_at_clean(LesionVanishes(lesion))
    assert not vanishes_at_clean(LesionAppears(lesion))
    x.requires_grad_()
    assert torch.autograd.gradcheck(LesionAppears(lesion), (x,))


@pytest.mark.parametrize("objective", [LesionVanishes, LesionAppears])
def test_a_search_finds_the_exact_optimum_of_a_linear_method(objective):
    """``max <w, A^+ (y + e)>`` over the ball is ``<w, A^+ y> + R ||P A^+* w||``, the norm from a dense matrix."""
    size = 12
    A = Fourier(torch.rand(size, size, generator=torch.Generator().manual_seed(0)) < 0.6)
    template, region = blob(size, (6, 5), 1.2, torch.complex128)
    y = A(A.domain.randn(1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + template)
    lesion = Lesion(template, region)
    worst = worst_case(lambda y, A: A.pseudo_inverse(y), A, y, radius=0.1, objective=objective(lesion), evaluations=7)
    basis = torch.eye(size * size, dtype=torch.complex128).reshape(-1, 1, size, size)
    rows = [lesion.amplitude(A.pseudo_inverse(A.restrict(unit * basis))).numpy() for unit in (1, 1j)]
    before = lesion.amplitude(A.pseudo_inverse(y)).item()
    exact = worst.radius.item() * np.linalg.norm(np.concatenate(rows))
    sign = -1 if objective is LesionVanishes else 1
    assert worst.objective.item() == pytest.approx(sign * before + exact, rel=1e-6)


def thresholding(y, A):
    """What is faint is lost: a perturbation can push a lesion below the threshold."""
    x = A.pseudo_inverse(y)
    size = x.abs()
    return x * torch.relu(size - 0.15) / size.clamp_min(1e-6)


@pytest.mark.parametrize("objective", [LesionVanishes, LesionAppears])
def test_a_search_moves_the_lesion_of_a_nonlinear_method_further_than_noise(objective):
    A = Fourier(torch.rand(20, 20, generator=torch.Generator().manual_seed(0)) < 0.8)
    template, region = blob(dtype=torch.complex64)
    surroundings = torch.full((1, 1, 20, 20), 0.2, dtype=torch.complex64)
    put_in = 0.3 * template
    there = objective is LesionVanishes
    y = A(surroundings + put_in if there else surroundings)
    lesion = Lesion(put_in, region, background=thresholding(A(surroundings), A))
    worst = worst_case(thresholding, A, y, radius=0.05, objective=objective(lesion), evaluations=20)
    before, after = lesion.amplitude(thresholding(y, A)).item(), lesion.amplitude(worst.perturbed).item()
    noises = A.restrict(A.range.randn(20, generator=torch.Generator().manual_seed(1)))
    perturbed = y + noises * worst.radius.item() / noises.flatten(1).norm(dim=1)[:, None, None, None]
    sign = -1 if there else 1
    moved = [lesion.amplitude(thresholding(p[None], A)).item() - before for p in perturbed]
    assert sign * (after - before) > 2 * max(abs(m) for m in moved)
    assert worst.objective.item() == pytest.approx(sign * after, rel=1e-5)


def test_target_is_minus_the_distance_in_the_region():
    x, wanted, region = noise(0), noise(1), blob()[1]
    inside = region.expand_as(x).numpy()
    expected = [-np.linalg.norm((a - b).numpy()[m]) for a, b, m in zip(x, wanted, inside, strict=True)]
    np.testing.assert_allclose(Target(wanted, region)(x), expected)
    np.testing.assert_allclose(Target(wanted)(x), [-np.linalg.norm((a - b).numpy()) for a, b in zip(x, wanted, strict=True)])
    assert not vanishes_at_clean(Target(wanted))


def test_a_search_comes_nearer_to_its_target():
    A = Fourier(torch.ones(12, 12, dtype=torch.bool))
    x = A.domain.randn(1, generator=torch.Generator().manual_seed(0))
    wanted = x + 0.1 * A.domain.randn(1, generator=torch.Generator().manual_seed(1))
    distance = (wanted - x).norm().item()
    worst = worst_case(
        lambda y, A: A.pseudo_inverse(y), A, A(x), radius=0.5 * distance, unit="absolute", objective=Target(wanted)
    )
    # The identity moves by at most the radius, straight towards the target.
    assert -worst.objective.item() == pytest.approx(0.5 * distance, rel=1e-3)


@pytest.mark.parametrize(
    ("template", "region", "margin", "words"),
    [
        (torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool), 0, "stands out"),
        (torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool), 3, "stands out"),
        (torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool), 3, "empty"),
        (torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 9, dtype=torch.bool), 3, "region"),
        (torch.eye(8)[None, None], torch.eye(8)[None, None] > 0, -1, "margin"),
    ],
    ids=["zero", "flat", "empty region", "wrong region", "margin"],
)
def test_lesions_that_cannot_be_measured_are_refused(template, region, margin, words):
    with pytest.raises(SearchError, match=words):
        Lesion(template, region, margin=margin)


def test_a_template_of_the_wrong_kind_or_size_is_refused():
    lesion = Lesion(*blob(dtype=torch.complex128))
    with pytest.raises(SearchError, match=r"\|x \+ t\| - \|x\|"):
        lesion.amplitude(noise(0))
    with pytest.raises(SearchError, match="size"):
        lesion.amplitude(noise(0, (1, 1, 20, 21), torch.complex128))
