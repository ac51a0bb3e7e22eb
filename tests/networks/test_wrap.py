"""Every takes, channels and scale against the formula written out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stabtest.errors import NetworkError
from stabtest.networks import Reconstructor, WrappedNetwork, wrap
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.tensors import inner, norm


def mri(dtype=torch.complex128, seed=0, batch=2, size=(8, 10)):
    generator = torch.Generator().manual_seed(seed)
    columns = torch.rand(size[1], generator=generator) < 0.6
    columns[size[1] // 2] = True
    A = Fourier(columns.expand(size))
    return A, A(torch.randn(batch, 1, *size, dtype=dtype, generator=generator))


def ct(dtype=torch.float64, batch=2, seed=0):
    A = Radon(8, 6)
    return A, A(torch.rand(batch, 1, 8, 8, dtype=dtype, generator=torch.Generator().manual_seed(seed)))


class Pointwise(nn.Module):
    """A nonlinear network that works on any layout, so that the expected result can be written down."""

    def forward(self, x):
        return x + 0.1 * x * (x.abs() if x.is_complex() else x)


class Remember(nn.Module):
    """Keeps what it was called with."""

    def __init__(self, output=None):
        super().__init__()
        self.output, self.seen = output, None

    def forward(self, *arguments):
        self.seen = arguments
        return arguments[0] if self.output is None else self.output


def test_it_is_a_reconstructor():
    assert isinstance(wrap(Pointwise()), Reconstructor)


def test_pseudo_inverse_native_complex():
    A, y = mri()
    x = A.pseudo_inverse(y)
    torch.testing.assert_close(wrap(Pointwise())(y, A), x + 0.1 * x * x.abs())


def test_pseudo_inverse_native_real():
    A, y = ct()
    x = A.pseudo_inverse(y)
    torch.testing.assert_close(wrap(Pointwise())(y, A), x + 0.1 * x**2)


def test_pseudo_inverse_real_imag():
    A, y = mri()
    x = A.pseudo_inverse(y)
    expected = torch.complex(x.real + 0.1 * x.real**2, x.imag + 0.1 * x.imag**2)
    torch.testing.assert_close(wrap(Pointwise(), channels="real-imag")(y, A), expected)


def test_pseudo_inverse_magnitude():
    A, y = mri()
    m = A.pseudo_inverse(y).abs()
    f = wrap(Pointwise(), channels="magnitude")
    torch.testing.assert_close(f(y, A), m + 0.1 * m**2)
    assert f.magnitude


@pytest.mark.parametrize("channels", ["native", "real-imag", "magnitude"])
def test_scale_max_divides_by_the_largest_modulus_of_the_image_and_undoes_it(channels):
    A, y = mri()
    y = y * torch.tensor([1.0, 30.0]).reshape(2, 1, 1, 1)
    x = A.pseudo_inverse(y)
    c = x.abs().amax((1, 2, 3), keepdim=True)
    plain = wrap(Pointwise(), channels=channels)
    torch.testing.assert_close(wrap(Pointwise(), channels=channels, scale="max")(y, A), plain(y / c, A) * c)


def test_scale_standardise_per_channel():
    A, y = mri()
    x = A.pseudo_inverse(y)
    z = torch.cat([x.real, x.imag], 1)
    m, s = z.mean((2, 3), keepdim=True), z.std((2, 3), keepdim=True)
    out = Pointwise()((z - m) / s) * s + m
    torch.testing.assert_close(
        wrap(Pointwise(), channels="real-imag", scale="standardise")(y, A), torch.complex(out[:, :1], out[:, 1:])
    )


@pytest.mark.parametrize("takes", ["pseudo_inverse", "measurements", "measurements+operator", "deepinv"])
def test_with_scale_max_twice_the_data_give_twice_the_image(takes):
    class Unrolled(nn.Module):
        def forward(self, y, physics=None):
            x = y if physics is None else (physics.A_adjoint(y) if takes == "deepinv" else physics.adjoint(y))
            return x + 0.3 * torch.tanh(x.real) if x.is_complex() else x + torch.sin(x)

    A, y = mri()
    f = wrap(Unrolled(), takes=takes, scale="max")
    torch.testing.assert_close(f(7.5 * y, A), 7.5 * f(y, A))


def test_without_a_scale_they_do_not():
    A, y = mri()
    f = wrap(Pointwise())
    assert norm(f(7.5 * y, A) - 7.5 * f(y, A)).min() > 1


@pytest.mark.parametrize("takes", ["pseudo_inverse", "measurements"])
@pytest.mark.parametrize("scale", ["none", "max"])
def test_data_of_zeros_give_zeros_and_not_nan(takes, scale):
    A, y = mri()
    output = wrap(Pointwise(), takes=takes, scale=scale)(torch.zeros_like(y), A)
    assert torch.equal(output, torch.zeros_like(output))


def test_one_image_does_not_scale_another():
    A, y = mri()
    f = wrap(Pointwise(), scale="max")
    torch.testing.assert_close(f(torch.cat([y, 100 * y]), A)[:2], f(y, A))


@pytest.mark.parametrize("scale", ["none", "max", "standardise"])
@pytest.mark.parametrize("channels", ["native", "real-imag", "magnitude"])
def test_the_gradient_includes_the_scale(channels, scale):
    A, y = mri(batch=1, size=(4, 6))
    f = wrap(Pointwise(), channels=channels, scale=scale)
    assert torch.autograd.gradcheck(lambda e: f(y + A.restrict(e), A), torch.zeros_like(y).requires_grad_(True))


def test_the_gradient_without_the_derivative_of_the_scale_is_another():
    A, y = mri(batch=1)
    y.requires_grad_(True)
    f = wrap(Pointwise(), scale="max")
    (whole,) = torch.autograd.grad(f(y, A).abs().sum(), y)
    c = A.pseudo_inverse(y).abs().max().detach()
    (partial,) = torch.autograd.grad((wrap(Pointwise())(y / c, A) * c).abs().sum(), y)
    assert norm(whole - partial) > 1e-3 * norm(whole)


def test_measurements_native_are_given_as_they_are():
    A, y = ct()
    module = Remember(A.pseudo_inverse(y))
    output = wrap(module, takes="measurements")(y, A)
    assert torch.equal(module.seen[0], y)
    assert torch.equal(output, A.pseudo_inverse(y))


def test_measurements_of_coils_real_imag():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 6, 6, dtype=torch.complex64, generator=generator)
    A = MultiCoilFourier(torch.ones(6, 6, dtype=torch.bool), maps)
    y = A(torch.randn(2, 1, 6, 6, dtype=torch.complex64, generator=generator))
    module = Remember(torch.zeros(2, 2, 6, 6))
    output = wrap(module, takes="measurements", channels="real-imag")(y, A)
    assert torch.equal(module.seen[0], torch.cat([y.real, y.imag], 1))
    assert output.dtype == torch.complex64


def test_measurements_and_operator():
    A, y = mri()
    f = wrap(lambda y, operator: operator.adjoint(y) * 2, takes="measurements+operator")
    torch.testing.assert_close(f(y, A), 2 * A.adjoint(y))


def test_measurements_scaled_by_the_image():
    A, y = ct()
    c = A.pseudo_inverse(y).abs().amax((1, 2, 3), keepdim=True)
    module = Remember(torch.ones(2, 1, 8, 8, dtype=torch.float64))
    output = wrap(module, takes="measurements", scale="max")(y, A)
    torch.testing.assert_close(module.seen[0], y / c)
    torch.testing.assert_close(output, c.expand(2, 1, 8, 8))


def test_wrap_evaluates_and_freezes_in_place():
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Dropout())
    f = wrap(module)
    assert f.module is module
    assert not module.training
    assert not module[1].training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_input_still_has_a_gradient():
    A, y = ct(torch.float32)
    y.requires_grad_(True)
    f = wrap(nn.Conv2d(1, 1, 3, padding=1))
    (gradient,) = torch.autograd.grad(f(y, A).sum(), y)
    assert norm(gradient).min() > 0


def test_double_computes_in_float64_and_leaves_the_original():
    A, y = ct()
    f = wrap(nn.Conv2d(1, 1, 3, padding=1))
    assert f.in_double()(y, A).dtype == torch.float64
    assert next(f.module.parameters()).dtype == torch.float32


def test_describe():
    f = wrap(nn.Conv2d(2, 2, 3), channels="real-imag", scale="max")
    assert f.describe() == {
        "network": "Conv2d",
        "parameters": 38,
        "takes": "pseudo_inverse",
        "channels": "real-imag",
        "scale": "max",
    }


def test_forward_derivatives_pass_through():
    """Jacobian methods push a tangent through (`torch.func.jvp`)."""
    A, y = mri(batch=1)
    f = wrap(Pointwise(), channels="real-imag", scale="max")
    v, w = torch.randn_like(y), torch.randn_like(y)
    _, tangent = torch.func.jvp(lambda y: f(y, A), (y,), (v,))
    _, pull = torch.func.vjp(lambda y: f(y, A), y)
    torch.testing.assert_close(inner(tangent, w), inner(v, pull(w)[0]))


@pytest.mark.parametrize(
    "options",
    [{"takes": "image"}, {"channels": "complex"}, {"scale": "min"}, {"takes": "measurements", "scale": "standardise"}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(NetworkError):
        wrap(Pointwise(), **options)


def test_something_that_cannot_be_called_is_refused():
    with pytest.raises(NetworkError, match="callable"):
        wrap("unet")


def test_an_output_that_is_no_tensor_is_named():
    A, y = ct()
    with pytest.raises(NetworkError, match="tuple"):
        wrap(lambda x: (x, x))(y, A)


def test_an_output_of_another_size_is_refused():
    A, y = ct()
    with pytest.raises(NetworkError, match=r"\(2, 1, 4, 4\)"):
        wrap(lambda x: functional.avg_pool2d(x, 2))(y, A)


def test_a_complex_layout_of_a_real_operator_is_refused():
    A, y = ct()
    with pytest.raises(NetworkError, match="CT"):
        wrap(Pointwise(), channels="real-imag")(y, A)


def test_the_identity_is_left_alone_by_every_scale():
    A = Identity((6, 6))
    y = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    for scale in ("none", "max", "standardise"):
        torch.testing.assert_close(wrap(lambda x: x, scale=scale)(y, A), y)


def test_wrapped_networks_are_frozen():
    f = wrap(Pointwise())
    with pytest.raises(AttributeError):
        f.scale = "max"
    assert isinstance(f, WrappedNetwork)
