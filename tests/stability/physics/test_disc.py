import numpy as np
import pytest
import torch

from stabtest import phantoms
from stabtest.errors import ConfigError
from stabtest.operators import Identity
from stabtest.stability.cases import Case
from stabtest.stability.physics.disc import insert_disc, quantity, signal

PHASE = torch.exp(torch.tensor(0.7j))


def case(phase=None):
    image = torch.full((1, 1, 40, 40), 2.0)
    image = image if phase is None else image * phase
    operator = Identity((40, 40), is_complex=image.is_complex())
    return Case("a", "a", "other", operator, image, truth=image)


def inserted(case, contrast=0.25):
    return insert_disc(case, case.operator.refine(2), site=(18, 21), diameter=12, contrast=contrast)


def test_the_disc_is_the_block_mean_of_one_drawn_finer():
    drawn = phantoms.disc(320, centre=(18, 21), diameter=12, nominal=40).double()
    expected = 0.5 * torch.nn.functional.avg_pool2d(drawn, 8)
    assert (inserted(case()).template[0].double() - expected).abs().max() < 0.01


def test_the_edge_is_sharp():
    """Half a pixel beyond the outline to either side nothing is half full, but for the corners of pixels."""
    template = inserted(case()).template[0, 0].numpy()
    r = np.hypot(*np.meshgrid(np.arange(40) - 18, np.arange(40) - 21, indexing="ij"))
    assert template[r < 6 - 0.75] == pytest.approx(0.5)
    assert template[r > 6 + 0.75] == pytest.approx(0)


def test_the_disc_has_the_phase_of_the_object():
    found = inserted(case(PHASE))
    along = signal(found.template, found.phase)
    assert torch.allclose(along, inserted(case()).template, atol=1e-6)
    assert (found.phase.conj() * found.template).imag.abs().max() < 1e-6


def test_the_signal_is_linear_and_has_half_of_the_noise():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 200, 200, generator=generator, dtype=torch.complex128)
    assert torch.allclose(signal(3 * noise, PHASE), 3 * signal(noise, PHASE))
    assert signal(noise, PHASE).var().item() == pytest.approx(0.5, rel=0.02)


def test_what_is_measured_has_a_name():
    real, complex_ = case(), case(PHASE)
    assert quantity(real, real.measurement) == "value"
    assert quantity(complex_, complex_.measurement) == "along the local phase"
    assert quantity(complex_, complex_.measurement.abs()) == "magnitude"


def test_a_disc_without_size_is_refused():
    with pytest.raises(ConfigError, match="diameter"):
        insert_disc(case(), case().operator.refine(2), site=(18, 21), diameter=0, contrast=0.2)
