"""The deepinv convention, against its arithmetic written out and stand-ins of its networks."""

import numpy as np
import pytest
import torch
from torch import nn

from stabtest.errors import NetworkError
from stabtest.networks import check_network, wrap
from stabtest.networks.deepinv import Physics, measurement_from_deepinv, measurement_to_deepinv
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.operators.masks import cartesian_random

SIZE = (12, 10)


def single():
    A = Fourier(cartesian_random(SIZE, acceleration=2, seed=0))
    return A, A(A.domain.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


def multi():
    maps = torch.randn(3, *SIZE, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    A = MultiCoilFourier(cartesian_random(SIZE, acceleration=2, seed=0), maps)
    return A, A(A.domain.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


def ct():
    A = Radon(12, 7)
    return A, A(A.domain.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


def two(x):
    """Complex ``(B, 1, H, W)`` to deepinv's ``(B, 2, H, W)``."""
    return torch.stack([x[:, 0].real, x[:, 0].imag], 1)


def fft(x):
    """`MRIMixin.fft` in NumPy."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x, axes=axes), norm="ortho"), axes=axes)


@pytest.mark.parametrize(
    ("scan", "shape"), [(single, (2, 2, *SIZE)), (multi, (2, 2, 3, *SIZE)), (ct, (2, 1, 18, 7))], ids=["one", "coils", "ct"]
)
def test_layout_of_measurements_and_back(scan, shape):
    A, y = scan()
    given = measurement_to_deepinv(y, A)
    assert not given.is_complex()
    assert given.shape == shape
    assert torch.equal(measurement_from_deepinv(given, A), y)


def test_a_sinogram_has_detectors_before_views():
    A, y = ct()
    assert torch.equal(measurement_to_deepinv(y, A)[1, 0, 3], y[1, 0, :, 3])


def test_a_plain_image_is_left_alone():
    A = Identity((4, 4))
    y = torch.rand(1, 1, 4, 4)
    assert measurement_to_deepinv(y, A) is y


def test_forward_of_one_coil_is_deepinvs_formula():
    A, y = single()
    x = torch.randn(2, 2, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = fft(x[:, 0].numpy() + 1j * x[:, 1].numpy()) * A.mask.numpy()
    output = Physics(A, like=y).A(x).numpy()
    np.testing.assert_allclose(output[:, 0] + 1j * output[:, 1], expected, atol=1e-12)


def test_forward_of_coils_is_deepinvs_formula():
    A, y = multi()
    x = torch.randn(2, 2, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    physics = Physics(A, like=y)
    maps = physics.coil_maps.numpy()
    expected = physics.mask[:, :1].numpy() * fft(maps * (x[:, :1].numpy() + 1j * x[:, 1:].numpy()))
    output = physics.A(x).numpy()
    np.testing.assert_allclose(output[:, 0] + 1j * output[:, 1], expected, atol=1e-12)


@pytest.mark.parametrize("scan", [single, multi, ct])
def test_the_adjoint_is_the_adjoint(scan):
    A, y = scan()
    physics = Physics(A, like=y)
    given = measurement_to_deepinv(y, A)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, *physics.img_size, dtype=torch.float64, generator=generator)
    torch.testing.assert_close((physics.A(x) * given).sum(), (x * physics.A_adjoint(given)).sum())
    torch.testing.assert_close(physics.A_vjp(x, given), physics.A_adjoint(given))
    torch.testing.assert_close(physics.A_adjoint_A(x), physics.A_adjoint(physics.A(x)))
    torch.testing.assert_close(physics.A_A_adjoint(given), physics.A(physics.A_adjoint(given)))


@pytest.mark.parametrize("scan", [single, multi, ct])
def test_the_pseudo_inverse_is_the_operators(scan):
    A, y = scan()
    x = A.pseudo_inverse(y)
    torch.testing.assert_close(Physics(A, like=y).A_dagger(measurement_to_deepinv(y, A)), two(x) if x.is_complex() else x)


@pytest.mark.parametrize("gamma", [0.7, torch.tensor([0.7]), torch.tensor([0.3, 2.0]), torch.tensor([0.0, 2.0])])
@pytest.mark.parametrize("scan", [single, multi, ct])
def test_the_proximal_step_solves_its_equation(scan, gamma):
    A, y = scan()
    physics, given = Physics(A, like=y), measurement_to_deepinv(y, A)
    z = torch.randn(2, *physics.img_size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x = physics.prox_l2(z, given, gamma, solver="CG", max_iter=400, tol=1e-11)
    weight = torch.as_tensor(gamma, dtype=torch.float64).reshape(-1, 1, 1, 1)
    gradient = weight * physics.A_adjoint(physics.A(x) - given) + x - z
    assert gradient.abs().max() < 1e-7


def test_the_mask_has_two_channels():
    A, y = single()
    mask = Physics(A, like=y).mask
    assert mask.shape == (1, 2, *SIZE)
    assert torch.equal(mask[0, 1] != 0, A.mask)


def test_a_network_may_replace_the_mask_and_put_it_back():
    """`VarNet(mode="e2e-varnet")` does so in every block."""
    A, y = multi()
    physics = Physics(A, like=y)
    x = torch.randn(1, 2, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    before, mask = physics.A(x), physics.mask
    full = physics.A(x, mask=torch.ones_like(mask), coil_maps=None)
    assert (full != 0).sum() > (before != 0).sum()
    physics.update(mask=mask)
    torch.testing.assert_close(physics.A(x), before)
    assert A.mask.sum() < A.mask.numel()


def test_masks_that_differ_within_a_batch_are_refused():
    A, y = single()
    masks = torch.ones(2, 2, *SIZE)
    masks[1, :, 0] = 0
    with pytest.raises(NetworkError, match="one mask"):
        Physics(A, like=y).update(mask=masks)


def test_ct_has_no_mask_to_replace():
    A, y = ct()
    with pytest.raises(NetworkError, match="MRI"):
        Physics(A, like=y).update(mask=torch.ones(3, 3))


class ArtifactRemoval(nn.Module):
    """The stand-in of deepinv's class of that name."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.backbone_net = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, y, physics, **kwargs):
        assert getattr(physics.noise_model, "sigma", None) is None
        x = physics.A_dagger(y, **kwargs)
        return x + 0.1 * torch.tanh(self.backbone_net(x))


class Unrolled(nn.Module):
    """Two proximal steps, as MoDL."""

    def forward(self, y, physics):
        x = physics.A_adjoint(y)
        for _ in range(2):
            x = physics.prox_l2(0.9 * x, y, 0.5)
        return x


@pytest.mark.parametrize("scan", [single, multi, ct])
def test_artifact_removal_end_to_end(scan):
    A, y = scan()
    y = y.to(torch.complex64 if y.is_complex() else torch.float32)
    module = ArtifactRemoval(2 if y.is_complex() else 1)
    output = wrap(module, takes="deepinv")(y, A)
    x = A.pseudo_inverse(y)
    x = two(x) if x.is_complex() else x
    expected = x + 0.1 * torch.tanh(module.backbone_net(x))
    torch.testing.assert_close(two(output) if output.is_complex() else output, expected)


@pytest.mark.parametrize("module", [ArtifactRemoval(2), Unrolled()], ids=["artifact removal", "unrolled"])
def test_the_stand_ins_pass_the_gates(module):
    A, y = multi()
    f = wrap(module, takes="deepinv", scale="max")
    gates = check_network(f, A, y.to(torch.complex64), generator=torch.Generator().manual_seed(0))
    assert [gate.name for gate in gates if not gate.passed] == []


def test_a_magnitude_output():
    A, y = single()
    f = wrap(
        lambda y, physics: physics.A_adjoint(y).square().sum(1, keepdim=True).sqrt(), takes="deepinv", channels="magnitude"
    )
    torch.testing.assert_close(f(y, A), A.pseudo_inverse(y).abs())
