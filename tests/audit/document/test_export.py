"""Images for other programs: they are those of the audit, and so are the scores."""

import csv
import json

import numpy as np
import pytest

from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases import make_case
from stabtest.audit.document.export import export_images
from stabtest.audit.subject import load_subjects
from stabtest.errors import ConfigError, DataError
from stabtest.stability.detectability import auc
from tests.audit.conftest import NETWORK

TOML = """
[network]
factory = "net.py:make"
channels = "real-imag"
name = "small"
[operator]
size = 32
mask = { acceleration = 2.0, seed = 1 }
[data]
count = 2
noise = 0.02
[reference]
method = "none"
[worst_case]
enabled = false
[structure]
enabled = false
pixel_mm = 0.5
[sampling]
enabled = false
[noise]
enabled = false
[repeatability]
enabled = false
[image_quality]
enabled = false
[lipschitz]
enabled = false
[detectability]
enabled = true
diameters = [4.0]
levels = [8.0]
realisations = 20
training = 25
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "net.py").write_text(NETWORK)
    (folder / "audit.toml").write_text(TOML)
    return load_config(folder / "audit.toml")


@pytest.fixture(scope="module")
def written(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("images")
    return out, export_images(config, load_subjects(config), out, observers=True)


def raw(path):
    return np.fromfile(path, "<f4").reshape(32, 32)


def test_pairs_are_truth_and_reconstructions(config, written):
    out, _ = written
    method = load_subjects(config)[0].method
    for index in (0, 1):
        case = make_case(config, index)
        image = method(case.measurement, case.operator).abs()[0, 0].numpy()
        np.testing.assert_allclose(raw(out / f"pairs/small/small_{index + 1:03d}.raw"), image, rtol=1e-6)
        np.testing.assert_allclose(raw(out / f"pairs/truth/truth_{index + 1:03d}.raw"), case.truth.abs()[0, 0], rtol=1e-6)
    assert json.loads((out / "pairs/export.json").read_text())["about"]["cases"] == ["head 1000000", "head 1000001"]


def test_sizes_in_mm_are_in_the_header(written):
    out, _ = written
    assert "ElementSpacing = 0.5 0.5 1" in (out / "pairs/small/small.mhd").read_text()


def test_scores_are_those_behind_the_figures_of_the_audit(config, written, tmp_path):
    _, paths = written
    document = run(make_plan(config), tmp_path / "audit").document
    rows = {(row.case, row.method, row.observer, row.contrast): row.auc for row in document.detectability.rows}
    seen = set()
    for path in paths[1:]:
        about = json.loads(path.read_text())["about"]
        with (path.parent / "scores.csv").open() as file:
            scores = list(csv.DictReader(file))
        for observer in ("npw", "cho"):
            absent, present = (
                np.array([float(line["score"]) for line in scores if (line["observer"], line["signal"]) == (observer, kind)])
                for kind in ("absent", "present")
            )
            key = (about["case"], about["method"], observer, about["contrast"])
            assert auc(absent, present).value == pytest.approx(rows[key], abs=1e-12)
            seen.add(key)
    assert seen == set(rows)


def test_lesion_is_in_the_images_that_are_said_to_have_it(written):
    _, paths = written
    lesion = next(path.parent for path in paths[1:] if json.loads(path.read_text())["about"]["contrast"] > 0)
    about = json.loads((lesion / "export.json").read_text())["about"]
    means = [np.mean([raw(file) for file in (lesion / kind).glob("*.raw")], 0) for kind in ("signal_absent", "signal_present")]
    change = means[1] - means[0]
    at = np.s_[about["row"] - 1 : about["row"] + 2, about["column"] - 1 : about["column"] + 2]
    assert change[at].mean() > 5 * np.abs(change).mean()


def test_observers_need_their_test(config, tmp_path):
    off = config.model_copy(update={"detectability": config.detectability.model_copy(update={"enabled": False})}).at(
        config.base_dir
    )
    with pytest.raises(ConfigError, match="enabled = true"):
        export_images(off, load_subjects(off), tmp_path / "no", observers=True)
    assert not (tmp_path / "no").exists()


def test_a_folder_that_cannot_be_written_is_named(config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="can be written"):
        export_images(config, load_subjects(config), tmp_path / "file")
