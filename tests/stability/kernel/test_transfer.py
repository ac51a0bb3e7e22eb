import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import Identity, Radon
from stabtest.stability.cases import Method
from stabtest.stability.kernel import transfer_bound
from stabtest.stability.null_space import split


def test_no_bound_exceeds_the_norm_of_a_linear_method(build):
    """For a dense matrix as method, a little beside the pseudo-inverse, whose norm is known from its singular values."""
    operator = Radon(12, 5)
    inverse = torch.linalg.pinv(torch.from_numpy(build.dense(operator)), rtol=1e-2)
    matrix = inverse + 0.002 * torch.randn(inverse.shape, dtype=torch.float64, generator=build.generator(0))
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    method = Method("matrix", "under test", lambda y, A: (y.flatten(1) @ matrix.T).reshape(-1, 1, 12, 12))
    values = []
    for seed in range(40):
        y = operator.range.randn(generator=build.generator(seed), dtype=torch.float64)
        h = (inverse @ torch.randn(inverse.shape[1], dtype=torch.float64, generator=build.generator(500 + seed))).reshape(
            1, 1, 12, 12
        )
        # About an image that has nothing to do with the data, and about the method's own.
        x = method(y, operator) if seed % 2 else build.random_image(operator, 900 + seed)
        found = transfer_bound(method, operator, y, x, h, iterations=50)
        assert found.bound <= found.gain + 1e-12
        assert found.gain <= norm * (1 + 1e-12)
        values.append(found.bound)
    assert min(values) < 0 < max(values)


def test_the_numbers_are_those_of_the_formula(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 5.0)
    h = build.random_image(case.operator, 1)
    found = transfer_bound(method, case.operator, case.measurement, case.truth, h)
    y, x, d = (a.numpy() for a in (case.measurement, case.truth, h))
    mask = case.operator.mask.numpy()
    ah = mask * np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(d, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))
    f = method(case.measurement, case.operator).numpy()
    g = method(torch.from_numpy(y + ah), case.operator).numpy()
    numerator = np.linalg.norm(d) - np.linalg.norm(f - x) - np.linalg.norm(g - x - d)
    assert found.bound == pytest.approx(numerator / np.linalg.norm(ah), rel=1e-9)
    assert found.gain == pytest.approx(np.linalg.norm(g - f) / np.linalg.norm(ah), rel=1e-9)
    hidden = np.linalg.norm(split(case.operator, h).null.numpy())
    assert found.ceiling == pytest.approx((np.linalg.norm(d) - hidden) / np.linalg.norm(ah), rel=1e-9)


def test_a_hallucinator_that_is_right_pays_its_whole_lipschitz_constant(build):
    """Closed form: it recovers r + kappa n in full, and the bound is sqrt(1 + kappa^2), with equality."""
    case = build.head_case()
    method, n, r = build.hallucinator(case, 12.0)
    exact = case.operator.forward(case.truth)
    found = transfer_bound(method, case.operator, exact, case.truth, 0.01 * (r + 12.0 * n))
    assert found.bound == pytest.approx(math.sqrt(1 + 12.0**2), rel=1e-9)
    assert found.gain == pytest.approx(found.bound, rel=1e-9)
    assert found.kernel_aware is False
    assert found.ceiling < 0.05


def test_no_kernel_aware_method_is_above_the_ceiling(build):
    """Nonlinear, noisy, biased methods whose null-space part is constant, about truths and about their own images."""
    for seed in range(20):
        case = build.head_case(seed)
        constant = split(case.operator, build.random_image(case.operator, seed)).null

        def reconstruct(y, A, constant=constant):
            image = A.pseudo_inverse(y)
            bent = image + 0.5 * torch.complex(torch.sin(40 * image.real), torch.tanh(40 * image.imag))
            return split(A, bent).measured + constant

        method = Method("bent", "under test", reconstruct)
        own = method(case.measurement, case.operator)
        for k, x in enumerate((case.truth, own, own + constant)):
            h = build.random_image(case.operator, 50 + 3 * seed + k)
            parts = split(case.operator, h)
            for share in (1.0, 1e-2, 1e-4):
                h = parts.null + share * parts.measured
                assert transfer_bound(method, case.operator, case.measurement, x, h).kernel_aware is True


def test_a_detail_of_the_null_space_gives_no_positive_bound(build):
    case = build.head_case()
    method, n, _ = build.hallucinator(case, 12.0)
    arguments = (method, case.operator, case.measurement, case.truth, n)
    least = 1e-3 * float(tensors.norm(case.measurement))
    assert transfer_bound(*arguments, least=least).bound <= 0


def test_without_any_data_there_is_no_bound(build):
    operator = build.single_coil(16)
    x = build.random_image(operator)
    with pytest.raises(DataError, match="least distance"):
        transfer_bound(build.linear(), operator, operator.forward(x), x, 0 * x)


def test_in_single_precision_rounding_is_not_taken_for_a_hallucination(build):
    for seed in range(20):
        case = build.head_case(seed, dtype=torch.float32)
        own = build.linear()(case.measurement, case.operator)
        h = split(case.operator, build.random_image(case.operator, seed, dtype=torch.float32)).null
        least = 1e-4 * float(tensors.norm(case.measurement))
        found = transfer_bound(build.linear(), case.operator, case.measurement, own, 1e-2 * h, least=least)
        assert found.kernel_aware is True
        assert 0 < found.rounding < 0.5


def test_above_an_estimated_ceiling_nothing_is_decided(build):
    operator = Radon(12, 5)
    x = build.random_image(operator)
    perfect = Method("oracle", "under test", lambda y, A: x + (h if bool((y != operator.forward(x)).any()) else 0 * h))
    h = split(operator, build.random_image(operator, 1), iterations=500).null + 1e-3 * x
    found = transfer_bound(perfect, operator, operator.forward(x), x, h, iterations=20)
    assert found.bound > 10 * found.ceiling
    assert found.kernel_aware is None


def test_single_precision_methods_are_measured_in_double():
    operator = Identity((4, 4))
    half = Method("half", "under test", lambda y, A: 0.5 * y)
    x = torch.ones(1, 1, 4, 4)
    found = transfer_bound(half, operator, x, 0.5 * x, 1e-3 * x)
    assert found.gain == pytest.approx(0.5, rel=1e-4)
