"""Non-Cartesian MRI in an audit: trajectories, simulation against an explicit transform, nested readouts, what is refused."""

import math
import re
import sys

import numpy as np
import pytest
import torch

from reconstructors.sense import Sense
from reconstructors.tv import TotalVariation
from stabtest import phantoms
from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases import check_data
from stabtest.audit.cases.simulate import make_operator, simulate
from stabtest.audit.cases.trajectory import readouts
from stabtest.audit.config.file import parse_config
from stabtest.audit.measures import sampling_levels
from stabtest.audit.subject import default_weight
from stabtest.errors import ConfigError, DataError, OperatorError
from stabtest.operators import spokes
from stabtest.tensors import norm

pytest.importorskip("pytorch_finufft")


def configured(operator="", *, kind="noncartesian", rest="noise = 0.01", size=16, folder=None):
    text = f'network.zoo = "tv"\n[operator]\nkind = "{kind}"\nsize = {size}\n{operator}\n[data]\ncount = 1\n{rest}'
    config = parse_config(text)
    return config if folder is None else config.at(folder)


def transform(points, fine, maps=None):
    """``y`` of an object on a grid twice as fine, a sum over its pixels at their places in coarse pixels; NumPy, double precision."""
    n = fine.shape[-1] // 2
    middles = (np.arange(2 * n) - 0.5) / 2 - n // 2  # of fine pixels: a coarse one is the block of two
    k = points.numpy()
    phase = np.exp(-1j * k[:, :1] * middles), np.exp(-1j * k[:, 1:] * middles)
    seen = fine.numpy() if maps is None else maps.numpy() * fine.numpy()
    return np.einsum("ma,mb,cab->cm", *phase, seen, optimize=True) / 4 / n


@pytest.mark.parametrize("kind", ["radial", "radial-golden", "spiral"])
def test_what_is_measured_is_the_explicit_sum_over_the_finer_object(kind):
    config = configured(f'trajectory.kind = "{kind}"\ntrajectory.readouts = 3\ntrajectory.samples = 9', rest="noise = 0.0")
    case = simulate(config, 0)
    fine = phantoms.make("head", 32, seed=config.data.first_seed)
    expected = transform(readouts(config).points.flatten(0, 1), fine)
    np.testing.assert_allclose(case.measurement[0], expected, atol=2e-5 * np.abs(expected).max())


def test_coils_see_it_through_their_maps():
    config = configured("coils = 3\ntrajectory.readouts = 4", kind="noncartesian-multicoil", rest="noise = 0.0")
    case = simulate(config, 0)
    fine = phantoms.make("head", 32, seed=config.data.first_seed)
    maps = case.operator.refine(2).sensitivities
    assert case.measurement.shape == (1, 3, 4 * 16)
    torch.testing.assert_close(maps.abs().square().sum(0).mean(), torch.tensor(1.0), atol=0.02, rtol=0)
    expected = transform(readouts(config).points.flatten(0, 1), fine, maps)
    np.testing.assert_allclose(case.measurement[0], expected, atol=2e-5 * np.abs(expected).max())


def test_noise_has_the_level_that_was_asked_for():
    quiet, noisy = (simulate(configured(rest=f"noise = {level}"), 0) for level in (0.0, 0.05))
    deviation = (noisy.measurement - quiet.measurement).abs().square().mean().sqrt()
    assert float(deviation / quiet.truth.abs().max()) == pytest.approx(0.05, rel=0.1)
    torch.testing.assert_close(noisy.noiseless, quiet.measurement)


@pytest.mark.parametrize("kind", ["radial", "spiral", "radial-golden"])
def test_more_readouts_hold_the_fewer_with_the_same_noise(kind):
    config = configured(f'trajectory.kind = "{kind}"\ntrajectory.readouts = 6\ntrajectory.samples = 10')
    assert sampling_levels(config) == (3, 6, 12)
    case = simulate(config, 0)
    few, many = (case.resample(count) for count in (6, 12))
    keep = slice(0, 6) if kind == "radial-golden" else slice(0, 12, 2)
    torch.testing.assert_close(few.measurement.unflatten(2, (6, 10)), many.measurement.unflatten(2, (12, 10))[:, :, keep])
    torch.testing.assert_close(few.operator.points.unflatten(0, (6, 10)), many.operator.points.unflatten(0, (12, 10))[keep])
    assert (few.trained, many.trained, many.fraction) == (True, False, 2.0)


@pytest.mark.parametrize(
    ("units", "factor"), [("radians", 1.0), ("cycles-per-pixel", 0.5 / math.pi), ("cycles-per-field-of-view", 8 / math.pi)]
)
def test_a_file_of_locations_is_the_drawn_trajectory(tmp_path, units, factor):
    np.save(tmp_path / "k.npy", factor * spokes(6, 16).unflatten(0, (6, 16)).numpy())
    read = configured(f'trajectory = {{ file = "k.npy", units = "{units}" }}', folder=tmp_path)
    drawn = configured("trajectory.readouts = 6")
    torch.testing.assert_close(readouts(read).points, readouts(drawn).points)
    assert sampling_levels(read) == (3, 6)
    case = simulate(read, 0)
    few = case.resample(3).measurement.unflatten(2, (3, 16))
    torch.testing.assert_close(few, case.measurement.unflatten(2, (6, 16))[:, :, ::2])


def test_density_is_computed_given_or_none(tmp_path):
    np.save(tmp_path / "k.npy", spokes(6, 16).unflatten(0, (6, 16)).numpy())
    ramp = np.abs(np.arange(16) - 8) + 0.25
    np.save(tmp_path / "w.npy", 7 * ramp)  # on any scale
    extra = {"computed": "", "given": ', density_file = "w.npy"', "none": ', density = "none"'}
    made = {
        name: make_operator(configured(f'trajectory = {{ file = "k.npy"{more} }}', folder=tmp_path))
        for name, more in extra.items()
    }
    given = made["given"].density.reshape(6, 16)
    torch.testing.assert_close(given / given[0, 0], torch.from_numpy(ramp / ramp[0]).expand(6, 16))
    assert float(made["none"].density.std()) == 0
    assert len({operator.describe()["direct image"] for operator in made.values()}) == 3


def test_every_reference_of_mri_reconstructs():
    config = configured("coils = 4\ntrajectory.readouts = 32", kind="noncartesian-multicoil", size=32, rest="noise = 0.005")
    case = simulate(config, 0)
    A, y = case.operator, case.measurement

    def error(image):
        return float(norm(image - case.truth) / norm(case.truth))

    gridded = error(A.pseudo_inverse(y))
    assert gridded < 0.3
    assert error(A.adjoint(y)) > 2 * gridded  # control: without the density
    assert error(Sense(weight=1e-3)(y, A)) < gridded
    assert error(TotalVariation(default_weight(config, "tv"), iterations=100)(y, A)) < gridded


@pytest.fixture(scope="module")
def audited(tmp_path_factory, tiny, write_project):
    config, network = tiny
    operator = 'kind = "noncartesian-multicoil"\nsize = 24\ncoils = 2\ntrajectory.readouts = 8'
    config = re.sub(r"(?<=\[operator\]\n).*?(?=\n\n)", operator, config, flags=re.S)
    config = config[: config.index("[[criterion]]")].replace("evaluations = 6", "evaluations = 2")
    config = config.replace(
        "radii = [0.02, 0.05]",
        'radii = [0.05]\nregion = {{ kind = "high_frequencies", above = 0.5 }}',
    )
    config = config.replace("fractions = [0.25, 1.0]", "readouts = [4]").replace(
        "{{ mask = [0.2] }}", "{{ coil_gain = [0.1] }}"
    )
    config = re.sub("patterns = .*", "", config).replace('method = "tv"\niterations = 5', 'method = "gridding"')
    for name in ("image_quality", "detectability", "missed_lesion", "kernel"):
        config = config.replace(f"[{name}]\nenabled = true", f"[{name}]\nenabled = false")
    folder = tmp_path_factory.mktemp("noncartesian")
    return run(make_plan(load_config(write_project(folder, count=1, config=config, network=network))), folder / "out")


def test_no_unit_fails_and_every_section_has_rows(audited):
    document = audited.document
    assert document.failures == []
    for section in (document.worst_case, document.structure, document.sampling, document.noise, document.shift):
        assert section.rows
    assert {row.role for row in document.items} == {"under test", "reference"}  # gridding is the baseline too
    assert document.modality == "mri"


def test_the_report_says_what_was_measured(audited):
    document = audited.document
    assert document.operator["trajectory"] == "radial, equal angles"
    assert (document.operator["spokes"], document.operator["samples of a readout"]) == (8, 24)
    assert document.sampling.axis == "spokes"
    assert [row.count for row in document.sampling.rows if row.method == "small"] == [4, 8]
    assert any("trajectory is known exactly" in words for words in document.limitations)
    assert all(row.change is not None for row in document.shift.rows if row.shift == "coil_gain")


REFUSED = {
    'trajectory = { file = "k.npy", readouts = 4 }': "the file says where",
    'trajectory = { density_file = "w.npy" }': "beside a file",
    "[sampling]\npatterns = ['radial']": "another trajectory its own audit",
    '[reference]\nmethod = "zero-filled"': 'kind = "fourier" or "multicoil"',
    '[data]\nkind = "kspace"\nfiles = ["a.h5"]': "grid them before",
    'maps.kind = "espirit"': "simulated",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items())
def test_what_cannot_be_had_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_config(f'network.zoo = "tv"\n[operator]\nkind = "noncartesian"\n{text}')


def test_gridding_is_for_trajectories():
    with pytest.raises(ConfigError, match="noncartesian"):
        parse_config('network.zoo = "tv"\nreference.method = "gridding"')


@pytest.mark.parametrize(
    ("operator", "levels", "words"),
    [
        ("trajectory.readouts = 6", "[4]", "each divides the next"),
        ('trajectory.file = "k.npy"', "[4]", "divide the 6 readouts"),
        ('trajectory.file = "k.npy"', "[12]", "divide the 6 readouts"),
    ],
)
def test_numbers_of_readouts_that_are_not_nested_are_refused(tmp_path, operator, levels, words):
    np.save(tmp_path / "k.npy", spokes(6, 16).unflatten(0, (6, 16)).numpy())
    with pytest.raises(ConfigError, match=words):
        sampling_levels(configured(operator, rest=f"[sampling]\nreadouts = {levels}", folder=tmp_path))


BAD_FILES = {
    "shape": (np.zeros((4, 5, 3)), "row before column"),
    "complex": (np.ones((4, 2), complex), "real numbers"),
    "nan": (np.full((4, 2), np.nan), "finite locations"),
    "cycles": (np.full((4, 2), 8.0), "trajectory.units"),
    "tiny": (np.full((4, 2), 1e-4), "trajectory.units"),
}


@pytest.mark.parametrize(("values", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_of_locations_is_refused(tmp_path, values, words):
    np.save(tmp_path / "k.npy", values)
    with pytest.raises(DataError, match=words):
        readouts(configured('trajectory.file = "k.npy"', folder=tmp_path))


@pytest.mark.parametrize(("values", "words"), [(np.ones(5), "as the trajectory"), (-np.ones(16), "weights from 0")])
def test_a_bad_file_of_weights_is_refused(tmp_path, values, words):
    np.save(tmp_path / "k.npy", spokes(6, 16).unflatten(0, (6, 16)).numpy())
    np.save(tmp_path / "w.npy", values)
    with pytest.raises(DataError, match=words):
        readouts(configured('trajectory = { file = "k.npy", density_file = "w.npy" }', folder=tmp_path))


def test_a_missing_package_is_named_before_anything_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_finufft", None)
    with pytest.raises(OperatorError, match=r"stabtest\[mri\]"):
        check_data(configured())
