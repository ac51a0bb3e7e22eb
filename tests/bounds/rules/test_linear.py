"""Every linear rule against the dense Jacobian of the same call: never below, and exact where the rule says so."""

import math

import pytest
import torch
import torch.nn.functional as F

aten = torch.ops.aten


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


IMAGE = normal(1, 2, 6, 5)
COMPLEX = normal(1, 1, 4, 5, dtype=torch.complex128)

EXACT = {
    "view": (aten.view.default, IMAGE, [2, 30]),
    "permute": (aten.permute.default, IMAGE, [0, 2, 3, 1]),
    "slice": (aten.slice.Tensor, IMAGE, 3, 1, 4),
    "slice with a step": (aten.slice.Tensor, IMAGE, 2, 0, 9, 2),
    "select": (aten.select.int, IMAGE, 1, 0),
    "flip": (aten.flip.default, IMAGE, [2]),
    "roll": (aten.roll.default, IMAGE, [2], [3]),
    "expand": (aten.expand.default, normal(1, 1, 3, 1), [2, 4, 3, 5]),
    "repeat": (aten.repeat.default, normal(2, 3), [2, 3]),
    "repeat_interleave": (aten.repeat_interleave.self_int, normal(2, 3), 3, 1),
    "pixel_shuffle": (aten.pixel_shuffle.default, normal(1, 8, 3, 2), 2),
    "pixel_unshuffle": (aten.pixel_unshuffle.default, normal(1, 1, 4, 6), 2),
    "unfold": (aten.unfold.default, normal(1, 7), 1, 3, 1),
    "im2col": (aten.im2col.default, normal(1, 1, 5, 5), [3, 3], [1, 1], [1, 1], [2, 2]),
    "index": (aten.index.Tensor, normal(4, 3), [torch.tensor([0, 0, 2, 0])]),
    "index_select": (aten.index_select.default, normal(4, 3), 0, torch.tensor([1, 1, 3])),
    "gather": (aten.gather.default, normal(2, 3), 1, torch.tensor([[0, 0], [2, 1]])),
    "tril": (aten.tril.default, normal(3, 3)),
    "unbind": (aten.unbind.int, normal(3, 2)),
    "split": (aten.split.Tensor, normal(3, 4), 3, 1),
    "pad zero": (aten.pad.default, IMAGE, [1, 2, 0, 3]),
    "pad constant": (aten.pad.default, IMAGE, [1, 2, 0, 3], "constant", 5.0),
    "pad crop": (aten.pad.default, IMAGE, [-1, -1, 0, 0]),
    "pad reflect": (aten.pad.default, IMAGE, [2, 2, 2, 2], "reflect"),
    "pad reflect one side": (aten.pad.default, IMAGE, [0, 1, 0, 0], "reflect"),
    "pad replicate": (aten.pad.default, IMAGE, [1, 1, 2, 2], "replicate"),
    "pad circular": (aten.pad.default, IMAGE, [1, 1, 1, 1], "circular"),
    "constant_pad_nd": (aten.constant_pad_nd.default, IMAGE, [1, 2, 0, 3], 2.0),
    "nearest": (aten.upsample_nearest2d.vec, IMAGE, None, [2.0, 2.0]),
    "nearest odd": (aten.upsample_nearest2d.vec, IMAGE, [7, 11], None),
    "bilinear": (aten.upsample_bilinear2d.vec, IMAGE, None, False, [2.0, 2.0]),
    "bilinear corners": (aten.upsample_bilinear2d.vec, IMAGE, [9, 11], True, None),
    "bilinear down": (aten.upsample_bilinear2d.vec, IMAGE, [3, 2], False, None),
    "bicubic": (aten.upsample_bicubic2d.vec, IMAGE, None, False, [2.0, 2.0]),
    "bilinear antialias": (aten._upsample_bilinear2d_aa.vec, IMAGE, [3, 2], False, None),
    "linear 1d": (aten.upsample_linear1d.vec, normal(1, 2, 5), [9], False, None),
    "avg_pool": (aten.avg_pool2d.default, IMAGE, [2, 2]),
    "avg_pool overlapping": (aten.avg_pool2d.default, IMAGE, [3, 3], [1, 1], [1, 1]),
    "avg_pool without padding": (aten.avg_pool2d.default, IMAGE, [3, 3], [2, 2], [1, 1], False, False),
    "avg_pool ceil": (aten.avg_pool2d.default, IMAGE, [2, 2], [2, 2], [0, 0], True),
    "avg_pool divisor": (aten.avg_pool2d.default, IMAGE, [2, 2], [1, 1], [1, 1], False, True, 3),
    "adaptive_avg_pool": (aten.adaptive_avg_pool2d.default, IMAGE, [4, 2]),
    "global average": (aten.adaptive_avg_pool2d.default, IMAGE, [1, 1]),
    "mean": (aten.mean.dim, IMAGE, [2, 3], True),
    "sum": (aten.sum.dim_IntList, IMAGE, [1]),
    "sum of all": (aten.sum.default, IMAGE),
    "mul number": (aten.mul.Tensor, IMAGE, -2.5),
    "mul tensor": (aten.mul.Tensor, IMAGE, normal(2, 1, 5, seed=1)),
    "mul broadcasting": (aten.mul.Tensor, normal(1, 1, 3), normal(4, 2, 3, seed=1)),
    "mul complex": (aten.mul.Tensor, COMPLEX, normal(4, 5, dtype=torch.complex128, seed=1)),
    "div": (aten.div.Tensor, IMAGE, normal(5, seed=1)),
    "add constant": (aten.add.Tensor, IMAGE, normal(5, seed=1)),
    "add broadcasting": (aten.add.Tensor, normal(1, 5), normal(3, 5, seed=1)),
    "rsub": (aten.rsub.Scalar, IMAGE, 1.0, 3.0),
    "neg": (aten.neg.default, IMAGE),
    "linear": (aten.linear.default, normal(2, 3, 4), normal(5, 4, seed=1), normal(5, seed=2)),
    "matmul right": (aten.matmul.default, normal(2, 3, 4), normal(4, 6, seed=1)),
    "mm": (aten.mm.default, normal(3, 4), normal(4, 6, seed=1)),
    "bmm": (aten.bmm.default, normal(2, 3, 4), normal(2, 4, 3, seed=1)),
    "batch norm": (
        aten.batch_norm.default,
        IMAGE,
        normal(2, seed=1),
        normal(2, seed=2),
        normal(2, seed=3),
        normal(2, seed=4).abs(),
        False,
        0.1,
        1e-5,
        False,
    ),
    "instance norm with running statistics": (
        aten.instance_norm.default,
        IMAGE,
        normal(2, seed=1),
        None,
        normal(2, seed=3),
        normal(2, seed=4).abs(),
        False,
        0.1,
        1e-5,
        False,
    ),
    "view_as_real": (aten.view_as_real.default, COMPLEX),
    "view_as_complex": (aten.view_as_complex.default, normal(3, 2)),
    "conj": (aten.conj_physical.default, COMPLEX),
    "fft2": (aten.fft_fft2.default, COMPLEX, None, [-2, -1], "ortho"),
    "fft2 plain": (aten.fft_fft2.default, COMPLEX),
    "ifft2 plain": (aten.fft_ifft2.default, COMPLEX),
    "fft2 forward": (aten.fft_fft2.default, COMPLEX, None, [-2, -1], "forward"),
    "fft of a real image": (aten.fft_fftn.default, IMAGE, None, [-2, -1], None),
    "fft along an axis": (aten.fft_fft.default, COMPLEX, None, 2, None),
    "fft padded": (aten.fft_fft.default, COMPLEX, 9, -1, None),
    "fftshift": (aten.fft_fftshift.default, COMPLEX, [-2, -1]),
    "einsum": (aten.einsum.default, "bchw,hk->bckw", [IMAGE, normal(6, 3, seed=1)]),
    "cumsum": (aten.cumsum.default, normal(3, 5), 1),
}


def signal_of(case):
    first = case[1]
    return first if isinstance(first, torch.Tensor) else case[2][0]


@pytest.mark.parametrize("name", EXACT)
def test_exact(name, operation):
    target, *args = EXACT[name]
    case = operation(target, *args, signals=[signal_of(EXACT[name])])
    assert case.gain().factors[0] == pytest.approx(case.dense_norm(), rel=1e-6)


BOUNDED = {
    "rfft2": (aten.fft_rfft2.default, IMAGE, None, [-2, -1], "ortho"),
    "irfft2": (aten.fft_irfft2.default, COMPLEX, None, [-2, -1], "ortho"),
    "irfft odd": (aten.fft_irfft.default, COMPLEX, 7, -1, None),
    "fft cropped": (aten.fft_fft.default, COMPLEX, 3, -1, None),
    "matmul left": (aten.matmul.default, normal(3, 4, seed=1), normal(2, 4, 5)),
    "conv": (aten.conv2d.default, IMAGE, normal(3, 2, 3, 3, seed=1), None, [2, 1], [1, 1]),
    "conv same": (aten.conv2d.padding, IMAGE, normal(3, 2, 3, 3, seed=1), None, [1, 1], "same"),
    "conv transpose": (aten.conv_transpose2d.input, IMAGE, normal(2, 3, 2, 2, seed=1), None, [2, 2]),
    "conv3d": (aten.conv3d.default, normal(1, 1, 4, 4, 3), normal(2, 1, 3, 3, 3, seed=1), None, [1, 1, 1], [1, 1, 1]),
    "real": (aten.real.default, COMPLEX),
    "to single": (aten._to_copy.default, IMAGE),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_never_below(name, operation):
    target, *args = BOUNDED[name]
    signal = args[1] if name == "matmul left" else args[0]
    case = operation(target, *args, signals=[signal])
    exact = case.dense_norm()
    assert exact <= case.gain().factors[0] * (1 + 1e-9)
    assert case.gain().factors[0] <= 2.0 * exact


def test_batched_constant_matrices_add_in_squares(operation):
    weight, x = normal(3, 4, 5, seed=1), normal(5, 2)
    case = operation(aten.matmul.default, weight, x, signals=[x])
    assert case.dense_norm() <= case.gain().factors[0] <= math.sqrt(3) * case.dense_norm()


@pytest.mark.parametrize(
    ("target", "args", "expected"),
    [
        (aten.add.Tensor, (normal(2, 3), normal(2, 3, seed=1)), math.sqrt(2)),
        (aten.sub.Tensor, (normal(2, 3), normal(2, 3, seed=1)), math.sqrt(2)),
        (aten.add.Tensor, (normal(1, 3), normal(4, 3, seed=1)), math.sqrt(5)),
        (aten.complex.default, (normal(2, 3), normal(2, 3, seed=1)), 1.0),
        (aten.maximum.default, (normal(2, 3), normal(2, 3, seed=1)), 1.0),
        (aten.hypot.default, (normal(2, 3), normal(2, 3, seed=1)), 1.0),
        (aten.slice_scatter.default, (normal(2, 6), normal(2, 3, seed=1), 1, 0, 6, 2), 1.0),
        (aten.select_scatter.default, (normal(2, 3), normal(3, seed=1), 0, 1), 1.0),
    ],
    ids=str,
)
def test_two_operands_jointly(target, args, expected, operation):
    case = operation(target, *args, signals=[args[0], args[1]])
    gain = case.gain()
    assert gain.constant == pytest.approx(expected)
    assert case.dense_norm() == pytest.approx(expected)


def test_add_with_a_weight(operation):
    u, v = normal(2, 3), normal(2, 3, seed=1)
    assert operation(aten.add.Tensor, u, v, signals=[u, v], alpha=-3).gain().factors == (1.0, 3.0)


def test_concatenation_adds_squares(operation):
    u, v = normal(2, 3), normal(2, 1, seed=1)
    gain = operation(aten.cat.default, [u, v], 1, signals=[u, v]).gain()
    assert (gain.combine, gain.factors) == ("squares", (1.0, 1.0))


def test_concatenation_with_a_constant_counts_the_signal_alone(operation):
    u, v = normal(2, 3), normal(2, 1, seed=1)
    assert operation(aten.cat.default, [u, v], 1, signals=[u]).gain().factors == (1.0,)


def test_where_with_a_constant_condition(operation):
    mask, u, v = normal(4) > 0, normal(4, seed=1), normal(4, seed=2)
    gain = operation(aten.where.self, mask, u, v, signals=[u, v]).gain()
    assert (gain.combine, gain.factors) == ("squares", (1.0, 1.0))


def test_where_on_the_signal_itself_is_unknown(operation):
    u = normal(4)
    mask = u > 0
    assert operation(aten.where.self, mask, u, u, signals=[mask, u]).gain().factors is None


@pytest.mark.parametrize("target", [aten.mul.Tensor, aten.div.Tensor, aten.matmul.default])
def test_products_of_signals_are_unknown(target, operation):
    u, v = normal(3, 3), normal(3, 3, seed=1)
    assert operation(target, u, v, signals=[u, v]).gain().factors is None


def test_division_of_a_constant_by_a_signal_is_unknown(operation):
    u, v = normal(3), normal(3, seed=1)
    assert operation(aten.div.Tensor, u, v, signals=[v]).gain().factors is None


def test_division_by_zero_is_unknown(operation):
    assert operation(aten.div.Tensor, normal(3), torch.tensor([1.0, 0.0, 2.0])).gain().factors is None


def test_rounding_division_jumps(operation):
    assert operation(aten.div.Tensor_mode, normal(3), 2.0, rounding_mode="floor").gain().constant == math.inf


def test_conversion_to_whole_numbers_jumps(operation):
    assert operation(aten._to_copy.default, normal(3), dtype=torch.int64).gain().constant == math.inf


def test_weights_from_the_input_are_unknown(operation):
    weight = normal(3, 2, 3, 3, seed=1)
    assert operation(aten.conv2d.default, IMAGE, weight, signals=[IMAGE, weight]).gain().factors is None
    assert operation(aten.conv2d.default, IMAGE, weight, signals=[weight]).gain().factors is None
    matrix = normal(5, 5, seed=1)
    assert operation(aten.linear.default, IMAGE, matrix, signals=[IMAGE, matrix]).gain().factors is None


def test_gather_at_places_from_the_input_is_unknown(operation):
    u, index = normal(2, 3), torch.tensor([[0, 1], [2, 0]])
    assert operation(aten.gather.default, u, 1, index, signals=[u, index]).gain().factors is None


def test_a_broadcast_maximum_with_a_constant_counts_copies(operation):
    u, v = normal(1, 3) + 10, normal(4, 3, seed=1)
    case = operation(aten.maximum.default, u, v)
    assert case.dense_norm() == pytest.approx(2)
    assert case.gain().constant == pytest.approx(2)
    other = operation(aten.max.other, u, v)
    assert other.gain().constant == pytest.approx(2)


@pytest.mark.parametrize("order", [1, 2, 3, float("inf")])
def test_vector_norms(order, operation):
    worst = 0.0
    for seed in range(20):
        case = operation(aten.linalg_vector_norm.default, normal(3, 4, seed=seed), order, [1])
        worst = max(worst, case.dense_norm())
        assert worst <= case.gain().factors[0] * (1 + 1e-9)


def test_padding_that_repeats_is_more_than_the_symbol_says(operation):
    """Regression: reflect padding with a convolution can exceed the supremum of its symbol; the product with the padding's norm does not."""
    worst = 0.0
    from stabtest.bounds.convolution import convolution_norm

    for seed in range(40):
        weight = normal(1, 1, 3, 3, seed=seed)
        symbol = convolution_norm(weight)

        def function(x, weight=weight):
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight)

        eye = torch.eye(25, dtype=torch.float64).reshape(25, 1, 5, 5)
        exact = float(torch.linalg.matrix_norm(function(eye).reshape(25, -1), 2))
        worst = max(worst, exact / symbol)
        assert exact <= 2 * symbol
    assert worst > 1.01


def test_the_shape_of_another_signal_is_no_dependence(operation):
    u, v = normal(1, 3), normal(4, 3, seed=1)
    assert operation(aten.expand_as.default, u, v, signals=[u, v]).gain().factors == (2.0, 0.0)
