"""ESPIRiT on coils whose maps are known, and against its definition applied by brute force."""

import numpy as np
import pytest
import torch

from stabtest import operators, phantoms
from stabtest.data.espirit import espirit
from stabtest.errors import DataError

CENTRE = (slice(20, 44), slice(20, 44))


@pytest.fixture(scope="module", params=[0.0, 0.01])
def scan(request):
    """K-space of a head seen by 6 coils, with or without noise; the maps; the head."""
    maps, image = phantoms.coil_maps(64, 6, seed=1), phantoms.head(64, seed=0)
    k = operators.fft2c(maps * image)
    generator = torch.Generator().manual_seed(0)
    return k + request.param * image.abs().max() * torch.randn(k.shape, dtype=k.dtype, generator=generator), maps, image[0]


def test_maps_are_the_true_ones_up_to_a_phase(scan):
    k, maps, image = scan
    found = espirit(k, CENTRE).maps
    body = image.abs() > 0.05 * image.abs().max()
    agreement = (found.conj() * maps).sum(0).abs()  # both have norm 1
    assert float(agreement[body].min()) > 0.998


def test_maps_are_null_outside_of_the_object_and_of_norm_one_inside(scan):
    k, _, image = scan
    power = espirit(k, CENTRE).maps.abs().square().sum(0)
    body = image.abs() > 0.05 * image.abs().max()
    torch.testing.assert_close(power[body], torch.ones(int(body.sum())), atol=1e-4, rtol=0)
    assert torch.isclose(power, torch.zeros(())).logical_or(torch.isclose(power, torch.ones(()), atol=1e-4)).all()
    far = torch.zeros_like(body)
    far[:4, :4] = far[-4:, -4:] = True
    assert not power[far].any()


def test_the_phase_is_smooth(scan):
    """The product with the true maps turns slowly over the object: no seams, as a phase relative to one dark coil would have."""
    k, maps, image = scan
    found = espirit(k, CENTRE).maps
    body = image.abs() > 0.1 * image.abs().max()
    turn = (found.conj() * maps).sum(0)
    step = torch.angle(turn[:, 1:] * turn[:, :-1].conj()).abs()[body[:, 1:] & body[:, :-1]]
    assert float(step.max()) < 0.5


def test_the_eigenvalue_is_that_of_the_averaged_projection():
    """By definition: project every patch of a k-space onto the signal space and average where patches overlap. (Oracle: loops and FFTs.)"""
    size, coils, side = 16, 2, 3
    maps = phantoms.coil_maps(size, coils, seed=0).to(torch.complex128)
    k = operators.fft2c(maps * phantoms.head(size, seed=0).to(torch.complex128)).numpy()
    region = (slice(2, 14), slice(2, 14))
    found = espirit(torch.from_numpy(k), region, kernel=side, threshold=0.1, crop=0.0)
    centre = k[:, 2:14, 2:14]
    patches = np.array([centre[:, i : i + side, j : j + side].ravel() for i in range(10) for j in range(10)])
    _, values, right = np.linalg.svd(patches)
    basis = right[: len(values)][values > 0.1 * values[0]]
    assert len(basis) == found.kept
    assert found.of == coils * side * side

    def averaged(y):
        """On the torus of all samples, so that every sample lies in k^2 patches."""
        total = np.zeros_like(y)
        for i in range(size):
            for j in range(size):
                where = np.ix_(range(coils), np.arange(i, i + side) % size, np.arange(j, j + side) % size)
                patch = y[where].ravel()
                total[where] += ((patch @ basis.conj().T) @ basis).reshape(coils, side, side)
        return total / side**2

    for place in ((8, 8), (3, 12)):
        delta = np.zeros((coils, size, size), complex)
        delta[:, place[0], place[1]] = found.maps[:, place[0], place[1]].numpy()
        answer = operators.ifft2c(torch.from_numpy(averaged(operators.fft2c(torch.from_numpy(delta)).numpy()))).numpy()
        expected = float(found.eigenvalues[place]) * delta
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_only_the_region_is_looked_at(scan):
    k = scan[0]
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[CENTRE] = False
    torch.testing.assert_close(espirit(k, CENTRE).maps, espirit(k + 100 * outside, CENTRE).maps)


def test_eigenvalues_lie_between_0_and_1(scan):
    values = espirit(scan[0], CENTRE).eigenvalues
    assert float(values.min()) > -1e-9
    assert float(values.max()) < 1 + 1e-9


def test_too_small_a_centre_is_refused():
    k = torch.ones(2, 32, 32, dtype=torch.complex64)
    with pytest.raises(DataError, match=r"at least 11 x 11 samples for ESPIRiT with kernels of 6 x 6; came 32 x 10"):
        espirit(k, (slice(0, 32), slice(11, 21)))
