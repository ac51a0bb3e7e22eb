"""An audit of a network for several coils, and of classical methods beside it, on a volume in fastMRI's layout, by the command line."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from stabtest import phantoms
from stabtest.cli.app import app

CONFIG = """
[audit]
title = "Measured k-space of several coils"
[network]
zoo = "NETWORK"
[operator]
kind = "multicoil"
size = 32
mask = { acceleration = 2.0, centre_fraction = 0.4 }
maps = { kind = "espirit", kernel = 5, crop = 0.8 }
[data]
kind = "kspace"
files = ["volume.h5"]
slices = [1]
[reference]
iterations = 3
[worst_case]
radii = [0.05]
evaluations = 2
restarts = 1
further_ways = 0.0
noise_draws = 2
[structure]
diameters = [4.0]
contrasts = [0.3]
sites = 1
[sampling]
fractions = [0.4, 1.0]
[noise]
levels = [1.0, 2.0]
draws = 2
[lipschitz]
enabled = false
[repeatability]
enabled = false
"""


def project(folder, tools, text, *, mask=None):
    rng = np.random.default_rng(0)
    images = np.zeros((2, 4, 64, 40), complex)
    for number in range(2):
        images[number, :, 16:48, 4:36] = (phantoms.coil_maps(32, 4, seed=7) * phantoms.head(32, seed=number)).numpy()
    k = tools.transform(images)
    k = k + 5e-3 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
    if mask is not None:
        k = k * mask
    attributes = {"patient_id": "hash-of-Doe", "acquisition": "AXT2"}
    tools.write_file(folder / "volume.h5", k, header=tools.header(), mask=mask, attributes=attributes)
    (folder / "audit.toml").write_text(text)
    return folder


def audited(folder):
    done = CliRunner().invoke(app, ["audit", str(folder / "audit.toml"), "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    return json.loads((folder / "out" / "report.json").read_text()), (folder / "out" / "report.html").read_text()


@pytest.fixture(scope="module")
def full(tools, tmp_path_factory):
    return audited(project(tmp_path_factory.mktemp("full"), tools, CONFIG.replace("NETWORK", "vn-mri-coils")))


def test_every_unit_was_measured(full):
    document = full[0]
    assert document["failures"] == []
    assert len(document["quality"]) == 3
    assert all(document[section]["rows"] for section in ("worst_case", "structure", "sampling", "noise"))


def test_the_slice_is_of_a_numbered_patient(full):
    cases = full[0]["data"]["cases"]
    assert [case["name"] for case in cases] == ["volume slice 1"]
    assert {case["patient"] for case in cases} == {"patient 1"}
    assert {case["truth"] for case in cases} == {"full reconstruction"}


def test_the_network_does_better_than_zero_filling(full):
    psnr = {row["method"]: row["psnr"] for row in full[0]["quality"]}
    assert psnr["vn-mri-coils"] > psnr["zero-filled"] + 0.5


def test_the_choice_of_maps_is_in_the_forward_model_and_among_the_limits(full):
    document, page = full
    assert document["operator"]["coil maps"] == "estimated from the calibration lines by ESPIRiT"
    assert document["operator"]["coils"] == 4
    section = re.search(r'id="forward-model".*?</section>', page, re.S)[0]
    assert "estimated from the calibration lines by ESPIRiT" in section
    assert any("errors of the maps are in both" in limit for limit in document["limitations"])
    assert any("exact maps of 8 simulated coils" in said for said in document["deviations"])


def test_the_report_says_that_the_truth_is_one_of_the_reconstructions(full):
    """With all samples the direct reconstruction is compared with itself."""
    document, page = full
    whole = [row for row in document["sampling"]["rows"] if row["fraction"] == 1.0]
    assert [row["nrmse"] < 1e-5 for row in whole if row["method"] == "zero-filled"] == [True]
    assert "its own error is 0 by construction" in document["sampling"]["description"]
    assert "where the model card says otherwise" in page
    assert "No notes on the data" not in page


def test_nothing_personal_is_in_the_results(full):
    document, page = full
    for text in (json.dumps(document), page):
        assert "Doe" not in text
        assert "hash-of" not in text


def test_a_scan_with_its_own_mask_is_audited_without_truth(tools, tmp_path):
    mask = np.zeros(40, np.uint8)
    mask[12:28] = mask[::4] = 1
    text = (
        CONFIG.replace("NETWORK", "vn-mri-coils")
        .replace("size = 32", "size = 32\nwidth = 40")
        .replace("slices = [1]", "row = 1")
    )
    text = text.replace("mask = { acceleration = 2.0, centre_fraction = 0.4 }", 'mask.kind = "measured"')
    text = text.replace("[structure]", "[structure]\nenabled = false").replace("[noise]", "[noise]\nenabled = false")
    text = text.replace("iterations = 3", 'method = "none"')
    document, page = audited(project(tmp_path, tools, text, mask=mask))
    assert document["failures"] == []
    assert document["sampling"] is None
    assert document["worst_case"]["rows"]
    assert document["data"]["cases"][0]["truth"] == "none"
    assert document["data"]["cases"][0]["shape"] == [32, 40]
    assert "undersampled by the scanner" in page
    assert "errors are not given there, only changes" in page
