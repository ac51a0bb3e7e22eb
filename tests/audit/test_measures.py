import h5py
import numpy as np
import pytest

from stabtest.audit.cases import make_case
from stabtest.audit.config_file import parse_config
from stabtest.audit.measures import measurements, sampling_levels
from stabtest.errors import ConfigError
from stabtest.operators import Radon
from stabtest.phantoms import ellipses
from stabtest.stability.cases import Method

REAL = 'network.zoo = "fbp"\noperator = {{ kind = "radon", size = 32, angles = {} }}\ndata = {{ kind = "sinogram", files = ["scan.h5"] }}\n'
SIMULATED = 'network.zoo = "fbp"\noperator = {{ kind = "radon", size = 32, angles = {} }}\n'


@pytest.mark.parametrize(("trained", "levels"), [(50, (25, 50, 100)), (25, (25, 50)), (1, (1, 2))])
def test_simulated_views_are_nested_by_default(trained, levels):
    assert sampling_levels(parse_config(SIMULATED.format(trained))) == levels


@pytest.mark.parametrize(("trained", "levels"), [(50, (25, 50)), (25, (12, 25)), (1, ())])
def test_no_views_beyond_a_real_scan_by_default(trained, levels):
    assert sampling_levels(parse_config(REAL.format(trained))) == levels


def test_views_that_are_given_are_taken():
    assert sampling_levels(parse_config(REAL.format(50) + "sampling.views = [181, 20]")) == (20, 50, 181)
    with pytest.raises(ConfigError, match="divides the next"):
        sampling_levels(parse_config(SIMULATED.format(50) + "sampling.views = [20]"))


def test_image_quality_runs_when_asked_for_with_the_settings_that_were_given(monkeypatch):
    from stabtest.audit import measures
    from stabtest.stability import ImageQualityTest

    made = []
    monkeypatch.setattr(measures, "ImageQualityTest", lambda **settings: made.append(ImageQualityTest(**settings)) or made[-1])
    assert "image_quality" not in {test.name for test in measurements(parse_config(SIMULATED.format(20)))}
    text = "image_quality = { enabled = true, diameter = 9.0, noise_side = 5, edge_realisations = 2, noise_realisations = 4, water = 0.2 }"
    (test,) = [test for test in measurements(parse_config(SIMULATED.format(20) + text)) if test.name == "image_quality"]
    assert made == [ImageQualityTest(diameter_px=9.0, noise_side_px=5, edge_realisations=2, noise_realisations=4, water=0.2)]
    assert test.settings["water"] == 0.2


def test_water_is_a_matter_of_ct():
    text = 'network.zoo = "unet-mri"\nimage_quality = { enabled = true, water = 0.2 }'
    (test,) = [test for test in measurements(parse_config(text)) if test.name == "image_quality"]
    assert test.settings["water"] is None


def test_the_cost_in_the_description_of_image_quality_is_what_it_takes():
    from stabtest.audit.config import ImageQualitySection

    s = ImageQualitySection()
    calls = s.noise_realisations + s.edge_realisations * (len(s.contrasts) * s.sites + 1)
    assert f"{calls} at the defaults" in ImageQualitySection.model_fields["enabled"].description


def test_the_default_sweep_runs_on_a_scan_that_has_no_more_views_than_the_network_takes(tmp_path):
    scanner = Radon(48, 20, 80)
    integrals = scanner(ellipses(48, seed=0)[None])[0, 0].numpy() / 20
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = (10_000 * np.exp(-integrals)).astype(np.float32)[:, None]
        file["exchange/data_white"] = np.full((2, 1, 80), 10_000.0)
        file["exchange/data_dark"] = np.zeros((2, 1, 80))
        file["exchange/theta"] = np.asarray(scanner.angles)
    config = parse_config(REAL.format(20), base_dir=tmp_path)
    (sampling,) = [test for test in measurements(config) if test.name == "sampling"]
    direct = Method("fbp", "under test", lambda y, operator: operator.pseudo_inverse(y))
    outcome = sampling.run(direct, make_case(config, 0), 0, lambda done, total: None)
    assert [row.count for row in outcome.rows] == [10, 20]
