"""An audit of fan-beam CT: every test runs, more views are a superset, what is not made for it is refused."""

import re

import pytest
import torch

from reconstructors.sirt import Sirt
from reconstructors.tv import TotalVariation
from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases.simulate import make_operator, simulate
from stabtest.audit.config.file import parse_config
from stabtest.audit.document.limitations import _outside_training
from stabtest.errors import ConfigError
from stabtest.operators import FanBeam, conjugate_gradient
from stabtest.tensors import norm

OPERATOR = 'kind = "radon"\ngeometry = "fan"\nsize = 32\nangles = 24\nsource_distance = 60.0'


@pytest.fixture(scope="module")
def audited(tmp_path_factory, tiny, write_project):
    config, network = tiny
    config = re.sub(r"(?<=\[operator\]\n).*?(?=\n\n)", OPERATOR, config, flags=re.S)
    config = config.replace("evaluations = 6", "evaluations = 2").replace("radii = [0.02, 0.05]", "radii = [0.05]")
    config = config[: config.index("[[criterion]]")].replace('channels = "real-imag"', 'channels = "native"')
    config = config.replace("fractions = [0.25, 1.0]", "views = [12]").replace(
        "{{ mask = [0.2] }}", "{{ centre = [1.0], angle_jitter = [0.5] }}"
    )
    config = re.sub("patterns = .*", 'patterns = ["random_angles", "limited_angle"]', config)
    for name in ("image_quality", "detectability", "kernel", "missed_lesion"):
        config = config.replace(f"[{name}]\nenabled = true", f"[{name}]\nenabled = false")
    network = network.replace("Conv2d(2, 2", "Conv2d(1, 1").replace("randn(2, 2", "randn(1, 1")
    folder = tmp_path_factory.mktemp("fan")
    return run(make_plan(load_config(write_project(folder, count=1, config=config, network=network))), folder / "out")


def test_no_unit_fails_and_every_section_has_rows(audited):
    document = audited.document
    assert document.failures == []
    assert document.operator["kind"] == "Fan beam"
    for section in (document.worst_case, document.structure, document.sampling, document.noise, document.shift):
        assert section.rows


def test_the_scan_can_go_wrong_as_a_parallel_one_can(audited):
    rows = [row for row in audited.document.shift.rows if row.family == "scan"]
    assert {row.shift for row in rows} == {"centre", "angle_jitter"}
    assert all(row.change is not None for row in rows)


def test_more_views_hold_the_fewer_with_the_same_noise():
    case = simulate(parse_config(f'network.zoo = "tv"\n[operator]\n{OPERATOR}\n[data]\nnoise = 0.01'), 0)
    few, many = case.resample(12), case.resample(24)
    assert isinstance(few.operator, FanBeam)
    assert few.operator.angles == many.operator.angles[::2]
    torch.testing.assert_close(few.measurement, many.measurement[:, :, ::2])


def test_patterns_are_of_the_full_turn_and_of_a_third():
    case = simulate(parse_config(f'network.zoo = "tv"\n[operator]\n{OPERATOR}\n[data]\nnoise = 0.01'), 0)
    anywhere, limited = case.repattern("random_angles"), case.repattern("limited_angle")
    for again in (anywhere, limited):
        assert (again.count, again.measurement.shape) == (24, case.measurement.shape)
        assert again.operator.geometry.source_distance == 60.0
        residual = again.measurement - again.operator(case.truth)
        assert norm(residual) < 0.1 * norm(again.measurement)  # of this object, seen from these angles
        assert norm(again.measurement - case.operator(case.truth)) > 2 * norm(residual)  # control: from the trained ones
    assert max(anywhere.operator.angles) > 180
    assert limited.operator.angles == tuple(5.0 * view for view in range(24))


def test_patterns_have_rows(audited):
    rows = audited.document.sampling.patterns
    assert {row.pattern for row in rows} == {"trained", "random_angles", "limited_angle"}
    assert all(row.change > 0 for row in rows if row.pattern == "limited_angle")  # a wedge is missing, for every method


@pytest.mark.parametrize("detector", ["fan", "fan-curved"])
def test_every_method_of_ct_reconstructs(detector):
    config = parse_config(f'network.zoo = "tv"\n[operator]\n{OPERATOR.replace("fan", detector)}\n[data]\nnoise = 0.002')
    case = simulate(config, 0)
    A, y = case.operator, case.measurement

    def error(image):
        return float(norm(image - case.truth) / norm(case.truth))

    assert error(A.adjoint(y)) > 2  # control: a back-projection is no image
    assert error(A.pseudo_inverse(y)) < 0.25
    assert error(TotalVariation(1.3e-3, iterations=60)(y, A)) < 0.25
    assert error(conjugate_gradient(A, A.adjoint(y), iterations=15).x) < 0.25
    assert error(Sirt(iterations=60)(y, A)) < 0.2


def test_distances_have_defaults():
    config = parse_config('network.zoo = "tv"\n[operator]\nkind = "radon"\ngeometry = "fan-curved"\nsize = 32')
    operator = make_operator(config)
    assert (operator.geometry.source_distance, operator.geometry.detector_distance) == (64.0, 32.0)
    assert operator.geometry.detector == "curved"


REFUSED = {
    '[operator]\nkind = "radon"\ngeometry = "fan"\nsource_distance = 80.0': "outside of the image",
    '[operator]\nkind = "radon"\ngeometry = "fan"\n[sampling]\npatterns = ["radial"]': "patterns that the operator can have",
    '[operator]\nkind = "radon"\ngeometry = "fan"\n[data]\nkind = "sinogram"\nfiles = ["a.h5"]': "parallel",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items())
def test_what_cannot_be_had_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_config(f'network.zoo = "tv"\n{text}')


def test_a_network_of_a_parallel_beam_is_named_as_one():
    config = parse_config(f'network.zoo = "tv"\n[operator]\n{OPERATOR}')
    assert any("parallel beam" in words for words in _outside_training(config, {"operator": {"kind": "radon", "angles": 24}}))
