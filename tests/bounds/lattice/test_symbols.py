"""Linear parts at a frequency against the same maps on a torus, written out in space."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from stabtest.bounds.graph import trace
from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.builder import NotALatticeError
from stabtest.bounds.lattice.translate import translate


def on_torus(x, kernel, stride, padding, dilation):
    """``out[m] = sum_q K[q] in[(s m + q d - p) mod N]``, by loops."""
    rows, columns = x.shape[1:]
    out = np.zeros((kernel.shape[0], rows // stride, columns // stride))
    for i, j in itertools.product(range(rows // stride), range(columns // stride)):
        for a, b in itertools.product(range(kernel.shape[2]), range(kernel.shape[3])):
            value = x[:, (stride * i + a * dilation - padding) % rows, (stride * j + b * dilation - padding) % columns]
            out[:, i, j] += kernel[:, :, a, b] @ value
    return out


def transposed_on_torus(x, kernel, stride, padding, dilation):
    """``out[(s m + q d - p) mod N] += K[q] in[m]``, by loops; kernel ``(C_in, C_out, kh, kw)``."""
    rows, columns = x.shape[1] * stride, x.shape[2] * stride
    out = np.zeros((kernel.shape[1], rows, columns))
    for i, j in itertools.product(range(x.shape[1]), range(x.shape[2])):
        for a, b in itertools.product(range(kernel.shape[2]), range(kernel.shape[3])):
            row, column = (stride * i + a * dilation - padding) % rows, (stride * j + b * dilation - padding) % columns
            out[:, row, column] += kernel[:, :, a, b].T @ x[:, i, j]
    return out


def spectrum(x):
    return np.fft.fft2(x, norm="ortho")


def at(spectrum_of_x, w):
    """Value at a frequency of the torus, ``(C,)``."""
    rows, columns = spectrum_of_x.shape[1:]
    i, j = (round(float(w[0]) * rows / (2 * math.pi)) % rows, round(float(w[1]) * columns / (2 * math.pi)) % columns)
    return spectrum_of_x[:, i, j]


CONVOLUTIONS = [
    dict(kernel_size=3, padding=1),
    dict(kernel_size=(3, 1), padding=(1, 0)),
    dict(kernel_size=2, padding=0),
    dict(kernel_size=3, padding=2, dilation=2),
    dict(kernel_size=3, padding=1, groups=2),
    dict(kernel_size=5, padding=0),
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_convolution_multiplies_by_its_symbol(options):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, **options).double()
    dense = symbols.dense_kernel(layer.weight, layer.groups)
    offsets = symbols.offsets(dense, layer.dilation, layer.padding)
    x = np.random.default_rng(0).normal(size=(4, 7, 6))
    shifts = offsets.numpy().astype(int)
    out = np.zeros((6, 7, 6))
    for q, (a, b) in enumerate(itertools.product(range(dense.shape[2]), range(dense.shape[3]))):
        out += np.einsum("oi,ihw->ohw", dense[:, :, a, b].numpy(), np.roll(x, (-shifts[q, 0], -shifts[q, 1]), (1, 2)))
    for w in symbols.frequencies((7, 6)):
        expected = symbols.symbol(dense, offsets, w[None])[0].numpy() @ at(spectrum(x), w)
        assert np.allclose(at(spectrum(out), w), expected)


def test_grouped_kernel_is_that_of_pytorch():
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, groups=2, bias=False).double()
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    assert torch.allclose(nn.functional.conv2d(x, symbols.dense_kernel(layer.weight, 2)), layer(x))


def test_transposed_grouped_kernel_is_that_of_pytorch():
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False).double()
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    dense = symbols.dense_transposed(layer.weight, 2)
    assert torch.allclose(nn.functional.conv_transpose2d(x, dense.transpose(0, 1)), layer(x))


@pytest.mark.parametrize(("size", "padding", "dilation"), [(2, 0, 1), (3, 1, 1), (4, 1, 1), (3, 2, 2)])
def test_stride_two_adds_the_four_aliases(size, padding, dilation):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, size, stride=2, padding=padding, dilation=dilation).double()
    network = nn.Sequential(layer, nn.ReLU(), nn.ConvTranspose2d(3, 1, 2, stride=2).double())
    lattice = translate(trace(network, torch.zeros(1, 2, 8, 12, dtype=torch.float64)))
    sector = lattice.sectors[0]
    rows, columns = lattice.torus
    x = np.random.default_rng(1).normal(size=(2, rows, columns))
    out = spectrum(on_torus(x, layer.weight.detach().numpy(), 2, padding, dilation))
    theta = symbols.frequencies(lattice.points(1))
    blocks = symbols.evaluator(lattice)(sector.step, theta)
    fine = symbols.finer(theta)
    for row, w in enumerate(theta):
        expected = sum(blocks[0, k][row].numpy() @ at(spectrum(x), fine[k][row]) for k in range(4))
        assert np.allclose(at(out, w), expected)


@pytest.mark.parametrize(("size", "padding", "dilation"), [(2, 0, 1), (4, 1, 1), (3, 0, 1)])
def test_transposed_stride_two_repeats_the_coarse_frequency(size, padding, dilation):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 2, size, stride=2, padding=padding, dilation=dilation).double()
    network = nn.Sequential(nn.Conv2d(1, 3, 2, stride=2).double(), nn.ReLU(), layer, nn.ReLU(), nn.Conv2d(2, 1, 1).double())
    if size == 3:
        network = network[:4]
        network.append(nn.Conv2d(2, 1, 2).double())
    lattice = translate(trace(network, torch.zeros(1, 1, 8, 8, dtype=torch.float64)))
    coarse, sector = lattice.sectors[0].variable, lattice.sectors[1]
    rows, columns = lattice.points(1)
    u = np.random.default_rng(2).normal(size=(3, rows, columns))
    out = spectrum(transposed_on_torus(u, layer.weight.detach().numpy(), 2, padding, dilation))
    w = symbols.frequencies(lattice.points(0))
    blocks = symbols.evaluator(lattice)(sector.step, w)
    for row, frequency in enumerate(w):
        assert np.allclose(at(out, frequency), blocks[coarse, -1][row].numpy() @ at(spectrum(u), 2 * frequency))


def test_frequencies_are_one_of_each_mirrored_pair():
    w = symbols.frequencies((5, 6))
    both = {tuple(np.round(np.mod(s * f.numpy(), 2 * math.pi), 9) % 6.283185307) for f in w for s in (1, -1)}
    assert len(both) == 30


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")), "pad"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, stride=3)), "stride"),
        (nn.Sequential(nn.InstanceNorm2d(1)), "instance_norm"),
        (nn.Sequential(nn.MaxPool2d(3, 1)), "2 x 2"),
        (nn.Sequential(nn.Softmax(1)), "softmax"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(network, name):
    with pytest.raises(NotALatticeError, match=name):
        translate(trace(network.eval(), torch.randn(1, 1, 12, 12)))
