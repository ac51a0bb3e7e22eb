import numpy as np
import pytest

from stabtest.audit.config_file import parse_config
from stabtest.audit.measured import measured_case
from stabtest.operators import fft2c
from stabtest.phantoms import head

CONFIG = '[network]\nzoo = "unet-mri"\n[operator]\nsize = 64\n[data]\nkind = "kspace"\nfiles = ["k.npy"]\n'


@pytest.mark.parametrize("measured", [True, False])
def test_noise_that_cannot_be_estimated_is_not_known(tmp_path, measured):
    """Partial Fourier in both directions: nothing was measured where the noise is read off."""
    k = fft2c(head(64, seed=3)[None])[0, 0].numpy()
    rng = np.random.default_rng(0)
    k = k + 1e-3 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
    if not measured:
        for rows in (slice(7), slice(-7, None)):
            for columns in (slice(7), slice(-7, None)):
                k[rows, columns] = 0
    np.save(tmp_path / "k.npy", k)
    case = measured_case(parse_config(CONFIG).at(tmp_path), 0, "k")
    assert (case.noise_std is not None) == measured
