"""Maximum pooling: sampled gains never above, and reached where windows overlap fully."""

import pytest
import torch
import torch.nn.functional as F

aten = torch.ops.aten

CASES = [
    (2, 2, 0, 1),
    (3, 2, 1, 1),
    (3, 1, 1, 1),
    (2, 3, 0, 1),
    (3, 2, 0, 2),
    (3, 2, 0, 3),
    ((3, 2), (1, 2), 0, 1),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), CASES)
def test_a_single_bright_pixel_reaches_at_most_the_bound(kernel, stride, padding, dilation, operation):
    """One pixel raised above a constant image is seen by every window that holds it: the extremal perturbation."""

    def pair(value):
        return [value, value] if isinstance(value, int) else list(value)

    base = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    gain = operation(aten.max_pool2d.default, base, pair(kernel), pair(stride), pair(padding), pair(dilation)).gain().factors[0]
    best = 0.0
    for row in range(16):
        for column in range(16):
            raised = base.clone()
            raised[0, 0, row, column] = 1.0
            change = F.max_pool2d(raised, kernel, stride, padding, dilation) - F.max_pool2d(
                base, kernel, stride, padding, dilation
            )
            best = max(best, float(torch.linalg.vector_norm(change)))
    assert best == pytest.approx(gain)


def test_indices_are_not_covered(operation):
    gain = operation(aten.max_pool2d_with_indices.default, torch.randn(1, 1, 4, 4), [2, 2]).gain()
    assert gain.first_output_only


@pytest.mark.parametrize(("size", "target"), [(6, 3), (7, 3), (5, 4), (4, 6)])
def test_adaptive_maximum(size, target, operation):
    base = torch.zeros(1, 1, size, size, dtype=torch.float64)
    gain = operation(aten.adaptive_max_pool2d.default, base, [target, target]).gain().factors[0]
    best = 0.0
    for row in range(size):
        for column in range(size):
            raised = base.clone()
            raised[0, 0, row, column] = 1.0
            best = max(best, float(torch.linalg.vector_norm(F.adaptive_max_pool2d(raised, target))))
    assert best == pytest.approx(gain)


def test_amax_and_maximum_over_an_axis(operation, rng):
    x = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    assert operation(aten.amax.default, x, [1]).gain().factors == (1.0,)
    assert operation(aten.max.dim, x, 1).gain().first_output_only


def test_interpolation_of_complex_images_is_unknown(operation):
    z = torch.randn(1, 1, 4, 4, dtype=torch.complex128)
    from stabtest.bounds.call import Call, Signal
    from stabtest.bounds.rules import RULES

    call = Call("avg_pool2d", aten.avg_pool2d.default, {"self": Signal((1, 1, 4, 4), z.dtype)}, (1, 1, 2, 2))
    assert RULES["avg_pool2d"](call).factors is None
