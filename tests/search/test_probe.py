"""Fingerprints against a dense matrix and against what must change them."""

import numpy as np
import pytest
import torch

from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.search.probe import fingerprint, probe


class Dense:
    """Stands for an operator: a matrix between spaces of another operator."""

    def __init__(self, like, matrix):
        self.domain, self.range, self.matrix = like.domain, like.range, matrix

    def forward(self, x):
        return (x.flatten(1) @ self.matrix.T).reshape(-1, *self.range.shape)


@pytest.mark.parametrize("operator", [Radon(8, 5), Fourier(torch.rand(6, 5) < 0.5)], ids=["radon", "fourier"])
def test_another_implementation_of_the_same_map_has_the_same_probe(operator):
    n = int(np.prod(operator.domain.shape))
    basis = torch.eye(n, dtype=operator.domain.dtype(torch.float64)).reshape(n, *operator.domain.shape)
    twin = Dense(operator, operator.forward(basis).flatten(1).T.contiguous())
    np.testing.assert_allclose(probe(twin), probe(operator), rtol=1e-10)


def test_the_probe_has_the_size_of_the_operator():
    """Known answer: the identity scaled by 3 has 3 times the probe; each probe is about ||A|| in size and not all small."""
    full = probe(Fourier(torch.ones(16, 16, dtype=torch.bool)), number=8)
    assert 0.1 < max(map(abs, full)) < 5


def test_coil_maps_change_the_probe():
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(8, 8, generator=generator) < 0.5
    maps = torch.randn(3, 8, 8, generator=generator, dtype=torch.complex64)
    other = maps.clone()
    other[1] *= 1.001
    a, b = probe(MultiCoilFourier(mask, maps)), probe(MultiCoilFourier(mask, other))
    assert a == probe(MultiCoilFourier(mask, maps.clone()))
    assert max(abs(p - q) for p, q in zip(a, b)) > 1e-5 * max(map(abs, a))


def murmur(place, key):
    """The hash in Python's own integers."""
    h = (place + 0x9E3779B9 * (key + 1)) * 0x9E3779B1 % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> shift)) * factor % 2**32
    return (h ^ (h >> 16)) / 2**31 - 1


def test_the_probe_is_that_of_its_formula():
    """A witness written today must be known tomorrow, so the numbers are part of the format."""
    expected = []
    for k in range(4):
        x, w = (np.array([murmur(place, key) for place in range(16)]) for key in (2 * k, 2 * k + 1))
        expected.append(w @ x * 4 / np.linalg.norm(x) / np.linalg.norm(w))
    np.testing.assert_allclose(probe(Identity((4, 4))), expected, rtol=1e-12)


def test_a_fingerprint_sees_type_shape_and_every_bit():
    values = torch.arange(6.0)
    changed = values.clone()
    changed[3] = torch.nextafter(changed[3], torch.tensor(9.0))
    seen = {fingerprint(x) for x in (values, changed, values.reshape(2, 3), values.double(), values.to(torch.complex64))}
    assert len(seen) == 5
    assert fingerprint(values.reshape(2, 3).T) == fingerprint(values.reshape(2, 3).T.contiguous())
    assert fingerprint(values.to(torch.complex64).conj()) == fingerprint(values.to(torch.complex64).conj().resolve_conj())
