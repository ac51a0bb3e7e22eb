"""The conventions of fastMRI and deepinv against the packages themselves, where somebody has them (``pytest -m packages``).

Both are optional and neither installs cleanly beside a CPU build of PyTorch: what does not import is skipped.
"""

import importlib
import warnings

import numpy as np
import pytest
import torch

from stabtest.networks import check_network, wrap
from stabtest.networks.deepinv import Physics, measurement_to_deepinv
from stabtest.networks.fastmri import fastmri_mask, low_frequencies
from stabtest.operators import Fourier, MultiCoilFourier, Radon, fft2c, ifft2c
from stabtest.operators.masks import cartesian_random
from stabtest.phantoms import coil_maps, head

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("ignore")]


def package(name):
    """A module of a package, or a skip with the reason, whatever it fails of while it is imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception as error:  # incompatible versions of what they need raise errors of every kind
        pytest.skip(f"{name} does not import: {type(error).__name__}: {error}")


def several(coils=3, size=32):
    A = MultiCoilFourier(
        cartesian_random((size, size), acceleration=2, centre_fraction=0.2, seed=1), coil_maps(size, coils, seed=0)
    )
    return A, A(torch.cat([head(size, seed=seed)[None] for seed in (0, 1)]))


def single(size=32):
    A = Fourier(cartesian_random((size, size), acceleration=2, centre_fraction=0.2, seed=1))
    return A, A(torch.cat([head(size, seed=seed)[None] for seed in (0, 1)]))


# fastMRI


def test_fastmris_transform_is_ours():
    fastmri = package("fastmri")
    x = torch.randn(2, 1, 15, 12, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    theirs = torch.view_as_complex(fastmri.fft2c(torch.view_as_real(x)))
    torch.testing.assert_close(fft2c(x), theirs)
    torch.testing.assert_close(ifft2c(x), torch.view_as_complex(fastmri.ifft2c(torch.view_as_real(x))))


def test_masks_have_fastmris_layout_and_its_own_count_of_low_frequencies():
    subsample, varnet = package("fastmri.data.subsample"), package("fastmri.models.varnet")
    function = subsample.EquiSpacedMaskFunc(center_fractions=[0.16], accelerations=[4])
    drawn, lines = function((1, 32, 32, 2), seed=1)
    columns = drawn.bool()[0, 0, :, 0]
    mask = columns.expand(32, 32)
    assert low_frequencies(mask) >= lines
    given = fastmri_mask(mask, batch=2)
    model = varnet.SensitivityModel(chans=2, num_pools=1)
    _, found = model.get_pad_and_num_low_freqs(given, None)
    assert found.tolist() == [low_frequencies(mask)] * 2


@pytest.mark.parametrize("given", [True, False])
def test_fastmris_varnet_is_called_as_it_wants_to_be(given):
    varnet = package("fastmri.models.varnet")
    torch.manual_seed(0)
    model = varnet.VarNet(num_cascades=2, sens_chans=2, sens_pools=2, chans=2, pools=2).eval()
    A, y = several()
    lines = low_frequencies(A.mask) if given else None
    kspace, mask = torch.view_as_real(y), A.mask[:1][None, None, :, :, None].expand(2, -1, -1, -1, -1)
    expected = model(kspace, mask, lines)
    output = wrap(model, takes="fastmri", channels="magnitude")(y, A)
    torch.testing.assert_close(output[:, 0], expected)


def test_fastmris_varnet_passes_the_gates():
    varnet = package("fastmri.models.varnet")
    torch.manual_seed(0)
    model = varnet.VarNet(num_cascades=1, sens_chans=2, sens_pools=2, chans=2, pools=2).eval()
    A, y = several()
    gates = {
        gate.name: gate
        for gate in check_network(
            wrap(model, takes="fastmri", channels="magnitude"), A, y[:1], generator=torch.Generator().manual_seed(0)
        )
    }
    for name in ("runs", "shape", "finite", "determinism", "batch", "gradient"):
        assert gates[name].passed, gates[name]


def test_fastmris_unet_has_its_mean_and_standard_deviation():
    unet = package("fastmri.models.unet")
    torch.manual_seed(0)
    model = unet.Unet(1, 1, chans=4, num_pool_layers=2).eval()
    A, y = several()
    image = A.pseudo_inverse(y).abs()
    mean, deviation = image.mean((1, 2, 3), keepdim=True), image.std((1, 2, 3), keepdim=True)
    expected = (
        model((image - mean) / (deviation + 1e-11)) * (deviation + 1e-11) + mean
    )  # fastmri.data.transforms.normalize_instance
    output = wrap(model, takes="pseudo_inverse", channels="magnitude", scale="standardise")(y, A)
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)


# deepinv


def test_deepinvs_mri_is_our_fourier():
    physics = package("deepinv.physics")
    A, y = single()
    theirs = physics.MRI(mask=A.mask.float(), img_size=(2, 32, 32))
    x = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    ours = Physics(A, like=y)
    torch.testing.assert_close(ours.A(x), theirs.A(x))
    given = measurement_to_deepinv(y, A)
    torch.testing.assert_close(ours.A_adjoint(given), theirs.A_adjoint(given))


def test_deepinvs_multi_coil_mri_is_ours():
    physics = package("deepinv.physics")
    A, y = several()
    theirs = physics.MultiCoilMRI(mask=A.mask.float(), coil_maps=A.sensitivities[None], img_size=(2, 32, 32))
    x = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    ours = Physics(A, like=y)
    torch.testing.assert_close(ours.A(x), theirs.A(x))
    given = measurement_to_deepinv(y, A)
    torch.testing.assert_close(ours.A_adjoint(given), theirs.A_adjoint(given))


def test_deepinvs_sinogram_has_our_layout():
    """Detectors before views, and a disc off the middle at the same place of the detector in each view, up to a pixel."""
    physics = package("deepinv.physics")
    size, views = 32, 8
    down, across = np.mgrid[:size, :size] - (size - 1) / 2
    x = torch.from_numpy(((down + 6) ** 2 + (across - 4) ** 2 < 9).astype(np.float32))[None, None]
    A = Radon(size, views)
    ours = measurement_to_deepinv(A(x), A)
    theirs = physics.Tomography(angles=views, img_width=size, circle=False, normalize=False).A(x)
    assert theirs.shape[-1] == ours.shape[-1] == views

    def middles(sinogram):
        bins = torch.arange(sinogram.shape[-2]) - (sinogram.shape[-2] - 1) / 2
        return (sinogram[0, 0] * bins[:, None]).sum(0) / sinogram[0, 0].sum(0)

    assert torch.allclose(middles(ours), middles(theirs), atol=1.0)
    assert not torch.allclose(middles(ours).flip(0), middles(theirs), atol=1.0)  # control: the order of the views matters


def test_deepinvs_artifact_removal_gives_what_it_gives_with_its_own_physics():
    models, physics = package("deepinv.models"), package("deepinv.physics")
    torch.manual_seed(0)
    backbone = models.UNet(in_channels=2, out_channels=2, scales=2, batch_norm=False)
    model = models.ArtifactRemoval(backbone, mode="adjoint").eval()
    A, y = single()
    theirs = physics.MRI(mask=A.mask.float(), img_size=(2, 32, 32))
    expected = model(measurement_to_deepinv(y, A), theirs)
    output = wrap(model, takes="deepinv", channels="real-imag")(y, A)
    torch.testing.assert_close(torch.view_as_real(output[:, 0]).movedim(-1, 1), expected)


def test_deepinvs_proximal_step_is_ours():
    physics = package("deepinv.physics")
    A, y = single()
    theirs = physics.MRI(mask=A.mask.float(), img_size=(2, 32, 32))
    z = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    given = measurement_to_deepinv(y, A)
    torch.testing.assert_close(Physics(A, like=y).prox_l2(z, given, 0.7), theirs.prox_l2(z, given, 0.7), atol=1e-4, rtol=1e-3)
