"""Wavelet transforms: published filters, moments, orthogonality by dense matrices, shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconstructors.wavelets import FILTERS, analyse, level_matrix, synthesise
from stabtest import tensors
from stabtest.errors import ConfigError

PUBLISHED = {  # PyWavelets 1.8, pywt.Wavelet(name).rec_lo, ten digits
    "haar": (0.7071067812, 0.7071067812),
    "db2": (0.4829629131, 0.8365163037, 0.2241438680, -0.1294095226),
    "db4": (
        *(0.2303778133, 0.7148465706, 0.6308807679, -0.0279837694),
        *(-0.1870348117, 0.0308413818, 0.0328830117, -0.0105974018),
    ),
}
MOMENTS = {"haar": 1, "db2": 2, "db4": 4}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_the_published_ones(name):
    np.testing.assert_allclose(FILTERS[name], PUBLISHED[name], atol=6e-11)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_orthonormal_to_their_even_shifts_and_have_their_vanishing_moments(name):
    h = np.array(FILTERS[name])
    for shift in range(0, len(h), 2):
        assert h[: len(h) - shift] @ h[shift:] == pytest.approx(float(shift == 0), abs=1e-15 * 4)
    g = h[::-1] * (-1) ** np.arange(len(h))
    for moment in range(MOMENTS[name]):
        assert g @ np.arange(len(h)) ** moment == pytest.approx(0, abs=1e-12)
    assert abs(g @ np.arange(len(h)) ** MOMENTS[name]) > 1e-3


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("n", [2, 4, 6, 30])
def test_one_level_is_an_orthogonal_matrix_also_shorter_than_the_filter(name, n):
    q = level_matrix(n, name)
    torch.testing.assert_close(q @ q.T, torch.eye(n, dtype=torch.float64), atol=1e-14, rtol=0)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(list(FILTERS)),
    levels=st.integers(1, 3),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    is_complex=st.booleans(),
)
def test_transform_is_orthogonal_and_inverted_by_its_adjoint(name, levels, height, width, is_complex):
    shape = (2, 1, height * 2**levels, width * 2**levels)
    dtype = torch.complex128 if is_complex else torch.float64
    generator = torch.Generator().manual_seed(0)
    x, c = (tensors.randn(shape, dtype=dtype, generator=generator) for _ in range(2))
    options = {"levels": levels, "wavelet": name}
    torch.testing.assert_close(synthesise(analyse(x, **options), **options), x, atol=1e-12, rtol=0)
    torch.testing.assert_close(tensors.norm(analyse(x, **options)), tensors.norm(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        tensors.inner(analyse(x, **options), c), tensors.inner(x, synthesise(c, **options)), atol=1e-11, rtol=0
    )


def test_layout_puts_vertical_edges_beside_the_averages():
    """A step across the columns is seen by the details along rows only: the upper right block."""
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[..., 3:] = 1
    c = analyse(x, levels=1, wavelet="haar")[0, 0]
    assert c[:4, 4:].abs().max() > 0.1
    assert c[4:].abs().max() < 1e-12


@pytest.mark.parametrize(
    ("shape", "levels", "name", "match"),
    [
        ((8, 12), 3, "haar", "levels = 2"),
        ((7, 8), 1, "db2", "even sides"),
        ((8, 8), 0, "haar", "at least 1"),
        ((8, 8), 1, "db3", "one of"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(shape, levels, name, match):
    with pytest.raises(ConfigError, match=match):
        analyse(torch.zeros(1, 1, *shape), levels=levels, wavelet=name)
