from dataclasses import replace

import h5py
import numpy as np
import pytest

from stabtest.audit.cases import make_case
from stabtest.audit.cases.simulate import simulate
from stabtest.audit.config.file import parse_config
from stabtest.audit.measures import measurements, sampling_levels, shift_test
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Radon
from stabtest.phantoms import ellipses
from stabtest.stability import StructureTest
from stabtest.stability.cases import Method
from stabtest.stability.shift import Box, ObjectShift, ScanShift
from stabtest.stability.shift.measure import BOX, OBJECTS

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
    from stabtest.audit.config.settings import ImageQualitySection

    s = ImageQualitySection()
    calls = s.noise_realisations + s.edge_realisations * (len(s.contrasts) * s.sites + 1)
    assert f"{calls} at the defaults" in ImageQualitySection.model_fields["enabled"].description


def test_shifts_run_when_asked_for_with_what_was_named():
    assert "shift" not in {test.name for test in measurements(parse_config(SIMULATED.format(20)))}
    text = "shift = { enabled = true, objects = { rotation = [2.0, -3.0] }, scans = { centre = [0.5] }, box = { rows = 1.0 }, points = 5 }"
    test = shift_test(parse_config(SIMULATED.format(20) + text))
    assert test.objects == (ObjectShift("rotation", 2.0), ObjectShift("rotation", -3.0))
    assert test.scans == (ScanShift("centre", 0.5),)
    assert test.box == Box(degrees=0, rows=1.0, columns=0, intensity=0)
    assert test.points == 5


def test_without_names_the_shifts_are_those_of_the_test():
    test = shift_test(parse_config(SIMULATED.format(20) + "shift.enabled = true"))
    assert (test.objects, test.scans, test.box) == (OBJECTS, None, BOX)


def test_another_anatomy_is_another_one():
    test = shift_test(parse_config(SIMULATED.format(20) + 'shift.enabled = true\ndata.phantom = "ellipses"'))
    assert {one.anatomy for one in test.objects} == {"head"}


def test_a_case_without_truth_gets_what_can_be_had():
    config = parse_config('network.zoo = "unet-mri"\noperator.size = 16\nshift.enabled = true\nreference.method = "none"')
    case = replace(simulate(config, 0), truth=None, truth_source="none")
    (test,) = [test for test in measurements(config) if test.name == "shift"]
    direct = Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y))
    rows = test.run(direct, case, 0, lambda done, total: None).rows
    assert {row.shift for row in rows} == {"mask", "receiver_gain", "receiver_phase"}
    assert all(row.change is None and row.defect is not None for row in rows)


def test_a_case_without_truth_and_nothing_to_be_had_says_so():
    config = parse_config('network.zoo = "unet-mri"\noperator.size = 16\nshift = { enabled = true, scans = {} }')
    case = replace(simulate(config, 0), truth=None, truth_source="none")
    (test,) = [test for test in measurements(config) if test.name == "shift"]
    with pytest.raises(DataError, match="without one"):
        test.run(Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y)), case, 0, lambda done, total: None)


def test_the_cost_in_the_description_of_the_shifts_is_what_it_takes():
    config = parse_config('network.zoo = "unet-mri"\noperator.size = 16\nshift.enabled = true\nreference.method = "none"')
    calls = []

    def counted(y, operator):
        calls.append(1)
        return operator.pseudo_inverse(y)

    (test,) = [test for test in measurements(config) if test.name == "shift"]
    test.run(Method("direct", "baseline", counted), simulate(config, 0), 0, lambda done, total: None)
    assert "some 140 for each" in type(config.shift).model_fields["enabled"].description
    assert 125 <= len(calls) <= 155


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


def test_a_real_object_is_changed_on_the_pixels_of_its_truth(tmp_path):
    scanner = Radon(48, 40, 80)
    integrals = scanner(ellipses(48, seed=0)[None])[0, 0].numpy() / 20
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = (10_000 * np.exp(-integrals)).astype(np.float32)[:, None]
        file["exchange/data_white"] = np.full((2, 1, 80), 10_000.0)
        file["exchange/data_dark"] = np.zeros((2, 1, 80))
        file["exchange/theta"] = np.asarray(scanner.angles)
    text = "shift = { enabled = true, objects = { rotation = [3.0] }, scans = { centre = [1.0] }, box = {} }"
    config = parse_config(REAL.format(20) + text, base_dir=tmp_path)
    (test,) = [test for test in measurements(config) if test.name == "shift"]
    direct = Method("fbp", "under test", lambda y, operator: operator.pseudo_inverse(y))
    rows = test.run(direct, make_case(config, 0), 0, lambda done, total: None).rows
    assert [(row.family, row.finer) for row in rows] == [("object", False), ("scan", False)]
    assert all(row.change is not None for row in rows)


def test_missed_lesions_are_searched_when_asked_for_beside_the_reference_of_the_audit():
    assert "missed_lesion" not in {test.name for test in measurements(parse_config(SIMULATED.format(20)))}
    text = SIMULATED.format(20) + "missed_lesion = { enabled = true, aspect = 2.0, places = 4, evaluations = 6 }\n"
    config = parse_config(text + 'data = { phantom = "ellipses", noise = 0.002 }\nreference.iterations = 5')
    (test,) = [test for test in measurements(config) if test.name == "missed_lesion"]
    assert test.settings["reference"]["iterations"] == 5
    direct = Method("net", "under test", lambda y, operator: operator.pseudo_inverse(y))
    (row,) = test.run(direct, make_case(config, 0), 0, lambda done, total: None).rows
    assert (row.reference, row.evaluations) == ("tv", 6)


def test_sizes_in_mm_are_told_to_the_test_in_pixels():
    text = (
        'structure = { shapes = ["disc", "text"], diameters = [3.0], sizes = { text = [12.0] }, pixel_mm = 0.5, text = "MR" }'
    )
    test = parse_config(SIMULATED.format(20) + text).structure.test()
    assert (test.sizes_of("disc"), test.sizes_of("text"), test.pixel_mm, test.words) == ((6.0,), (24.0,), 0.5, "MR")


def test_the_details_are_round_lesions_unless_others_are_asked_for():
    assert parse_config(SIMULATED.format(20)).structure.test() == StructureTest()
