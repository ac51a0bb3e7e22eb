"""Centred Fourier operator against a dense DFT, and its refinement against physics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Fourier, MultiCoilFourier, cartesian_random, fft2c, ifft2c


def dense_centred_dft(n):
    index = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * np.outer(index, index) / n) / np.sqrt(n)


@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 7), (6, 5), (1, 4)])
def test_transform_is_the_dense_centred_one(height, width, generator):
    x = torch.randn(height, width, dtype=torch.complex128, generator=generator)
    dense = dense_centred_dft(height) @ x.numpy() @ dense_centred_dft(width).T
    torch.testing.assert_close(fft2c(x), torch.from_numpy(dense))
    torch.testing.assert_close(ifft2c(fft2c(x)), x)


def test_unmeasured_points_are_zero_and_pseudo_inverse_is_moore_penrose(generator):
    mask = cartesian_random((8, 12), acceleration=3)
    A = Fourier(mask)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    y = A(x)
    assert not bool(y[..., ~mask].any())
    torch.testing.assert_close(A(A.pseudo_inverse(y)), y)


@pytest.mark.parametrize("height", [8, 9])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_fine_operator_is_the_integral_over_the_fine_pixels_positions(height, factor, generator):
    """Against a dense transform that knows where fine pixels lie: at ((j + 1/2)/factor - 1/2) coarse pixels."""
    width = 6
    A = Fourier(torch.ones(height, width, dtype=torch.bool)).refine(factor)
    x = A.domain.randn(1, generator=generator, dtype=torch.float64)

    def dense(n):
        position = (np.arange(factor * n) + 0.5) / factor - 0.5 - n // 2
        return np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, position) / n) / np.sqrt(n) / factor

    expected = dense(height) @ x[0, 0].numpy() @ dense(width).T
    torch.testing.assert_close(A(x)[0, 0], torch.from_numpy(expected))


@pytest.mark.parametrize("n", [32, 33])
@pytest.mark.parametrize("factor", [2, 3])
def test_smooth_object_is_neither_shifted_nor_dimmed(n, factor):
    def blob(side):
        t = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        return torch.exp(-((t - 0.43) ** 2) / 0.01)[:, None] * torch.exp(-((t - 0.6) ** 2) / 0.02)[None] + 0j

    A = Fourier(torch.ones(n, n, dtype=torch.bool))
    fine, coarse = blob(factor * n)[None, None], blob(n)[None, None]
    seen = A.pseudo_inverse(A.refine(factor)(fine))
    assert (seen - coarse).abs().max() < 2e-3
    # Control: one fine pixel's shift is seen.
    assert (A.pseudo_inverse(A.refine(factor)(fine.roll(1, -1))) - coarse).abs().max() > 0.02


def test_fine_pseudo_inverse_reproduces_the_measurements(generator):
    A = Fourier(cartesian_random((8, 9), acceleration=2)).refine(3)
    y = A.restrict(A.range.randn(2, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(A(A.pseudo_inverse(y)), y)


def test_masks_of_zeros_and_ones_are_accepted_and_others_refused():
    assert Fourier(torch.ones(4, 4)).mask.dtype == torch.bool
    with pytest.raises(OperatorError, match="entries"):
        Fourier(torch.full((4, 4), 0.5))
    with pytest.raises(OperatorError, match="shape"):
        Fourier(torch.ones(1, 4, 4))
    with pytest.raises(OperatorError, match="nothing"):
        Fourier(torch.zeros(4, 4))


def test_coils_see_the_image_through_their_maps(generator):
    maps = torch.randn(3, 8, 6, dtype=torch.complex128, generator=generator)
    A = MultiCoilFourier(cartesian_random((8, 6), acceleration=2), maps)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    single = Fourier(A.mask)
    for c in range(3):
        torch.testing.assert_close(A(x)[:, c : c + 1], single(x * maps[c]))


def test_coil_combination_is_the_inverse_where_everything_is_measured_and_zero_where_nothing_is_seen(generator):
    maps = torch.randn(3, 8, 6, dtype=torch.complex128, generator=generator)
    maps[:, 0] = 0
    A = MultiCoilFourier(torch.ones(8, 6, dtype=torch.bool), maps)
    x = A.domain.randn(1, generator=generator, dtype=torch.float64)
    back = A.pseudo_inverse(A(x))
    torch.testing.assert_close(back[..., 1:, :], x[..., 1:, :])
    assert not bool(back[..., 0, :].any())


def test_fine_coil_maps_agree_with_the_coarse_ones_on_a_smooth_object():
    def smooth(side):
        t = (torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5
        wave = torch.exp(-(t[:, None] ** 2 + t[None] ** 2) / 0.02)
        return torch.complex(wave, 0.3 * wave)[None, None], torch.stack(
            [
                torch.complex(1 + t[:, None] * t[None], t[None].expand(side, side)),
                torch.complex(t[:, None] - t[None], 0.5 + 0 * wave),
            ]
        )

    (coarse, maps), (fine, fine_maps) = smooth(32), smooth(64)
    A = MultiCoilFourier(cartesian_random((32, 32), acceleration=2), maps)
    scale = A(coarse).abs().max()
    assert (A.refine(2)(fine) - A(coarse)).abs().max() < 5e-3 * scale
    assert (A.refine(2, fine_sensitivities=fine_maps)(fine) - A(coarse)).abs().max() < 5e-3 * scale


@pytest.mark.parametrize(
    "maps",
    [
        torch.ones(2, 8, 5, dtype=torch.complex64),
        torch.ones(8, 6, dtype=torch.complex64),
        torch.ones(2, 8, 6),
        torch.full((2, 8, 6), torch.nan, dtype=torch.complex64),
        torch.zeros(2, 8, 6, dtype=torch.complex64),
    ],
)
def test_wrong_coil_maps_are_refused(maps):
    with pytest.raises(OperatorError, match="sensitivities"):
        MultiCoilFourier(torch.ones(8, 6, dtype=torch.bool), maps)
