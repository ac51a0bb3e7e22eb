"""Real measurements in the experiments: which scan they have, what is measured of them where they are, and what is said where they are not."""

from __future__ import annotations

import importlib
import json
import os

import numpy as np
import pytest
import torch

from experiments import __main__ as everything
from experiments.frame import claims, page, real, run, scans
from experiments.frame.claims import ABSENT, CANNOT, Claim, judge
from experiments.frame.real import Real
from experiments.frame.room import with_room
from reconstructors import zoo
from stabtest.errors import DataError
from stabtest.operators import fft2c
from stabtest.phantoms import head
from stabtest.stability.structure import places

WORDS = {"claim": "c", "published": "p", "where": "w", "how": "h"}
WITH_REAL = [
    name for name in run.names() if any(c.data == claims.REAL for c in claims.load(run.ROOT / "experiments" / name)[2])
]
TINY = {
    "antun2020": {"images": 1, "real": 1, "radii": [0.02], "evaluations": 2, "draws": 1, "networks": ["automap-mri"]},
    "alaifari2022": {
        "images": 1,
        "real": 1,
        "radii": [0.02],
        "evaluations": 2,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri"],
    },
    "colbrook2022": {
        "images": 1,
        "real": 1,
        "radii": [0.05],
        "evaluations": 2,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri"],
    },
    "darestani2021": {
        "images": 1,
        "real": 1,
        "radius": 0.08,
        "evaluations": 2,
        "sites": 1,
        "methods": ["zero-filled", "unet-mri"],
    },
    "genzel2022": {
        "images": 1,
        "real": 1,
        "evaluations": {"mri": 2},
        "draws": 1,
        "radii": {"mri": [0.08]},
        "networks": {"mri": ["unet-mri"]},
    },
    "gottschling2020": {
        "size": 0.2,
        "data": 5.0,
        "images": 1,
        "real": 1,
        "steps": 1,
        "evaluations": 2,
        "draws": 1,
        "methods": {"mri": ["zero-filled", "unet-mri"]},
    },
}


@pytest.fixture
def slices(tmp_path, monkeypatch):
    """A folder like that of the real measurements, with drawn slices in it."""
    folder = tmp_path / "data" / "mri-brain"
    folder.mkdir(parents=True)
    for number in range(3):
        image = head(160, seed=number) * torch.exp(1j * torch.linspace(0, 1, 160))
        np.save(folder / f"kspace_{number}.npy", fft2c(image.to(torch.complex64)).numpy()[0])
    monkeypatch.setenv("STABTEST_DATA", str(folder.parent))
    scans.case.cache_clear()
    yield folder
    scans.case.cache_clear()


def test_the_scan_of_real_measurements_is_the_one_that_the_network_was_trained_for():
    names = [path.stem for path in (zoo.HERE / "cards").glob("*.json") if real.possible(path.stem)]
    assert {"automap-mri", "unet-mri", "fbpconvnet-ell50"} <= set(names)
    for name in names:
        assert scans.scan_of(Real(name)).operator == scans.scan_of(name).operator, name


def test_there_are_none_of_several_coils_nor_of_no_scan():
    assert not real.possible("vn-mri-coils")
    assert not real.possible("dncnn-denoise")


def test_the_measurement_is_a_part_of_what_counts_as_the_truth(slices):
    case = scans.case(Real("unet-mri"), 1)
    torch.testing.assert_close(case.operator.forward(case.truth), case.measurement, atol=1e-5, rtol=0)


def test_as_many_are_wanted_as_there_are_and_none_without_the_folder(slices, monkeypatch):
    assert [real.wanted(asked, "mri") for asked in (0, 2, 30)] == [0, 2, 3]
    monkeypatch.delenv("STABTEST_DATA")
    assert real.wanted(2, "mri") == 0


def test_cases_without_room_for_a_detail_are_passed_over():
    found = with_room("fbpconvnet-ell50", 2, [22.0])
    assert len(found) == 2
    assert found[-1] > 1, "choose another scan: the first phantoms of this one have room"
    for index in range(found[-1]):
        if index not in found:
            with pytest.raises(DataError, match="room"):
                places(scans.case("fbpconvnet-ell50", index), diameter=22.0, count=1, seed=index)
    assert all(places(scans.case("fbpconvnet-ell50", index), diameter=22.0, count=1, seed=index) for index in found)


@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("STABTEST_DATA"), reason="STABTEST_DATA names no folder")
def test_so_it_is_of_the_brain_slices():
    for index in range(real.count("mri")):
        case = scans.case(Real("unet-mri"), index)
        torch.testing.assert_close(case.operator.forward(case.truth), case.measurement, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TINY)
def test_claims_on_real_measurements_are_measured_where_there_are_any(name, slices, tmp_path, monkeypatch):
    found = measured(name, tmp_path, monkeypatch)
    keys = [key for key in found["values"] if key.startswith("real.")]
    assert keys
    assert {key.removeprefix("real.").split(".")[0] for key in keys} & {"change", "loss", "mri", "search"}
    assert not any(one["why"] == ABSENT for one in found["claims"])
    assert "out of the training distribution" in (tmp_path / name / "index.html").read_text(encoding="utf-8")


def test_without_them_nothing_is_dropped_and_the_page_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("STABTEST_DATA", raising=False)
    found = measured("antun2020", tmp_path, monkeypatch)
    on_real = [one for one in found["claims"] if "data" in one]
    assert on_real
    assert {(one["verdict"], one["why"]) for one in on_real} == {(CANNOT, ABSENT)}
    assert not any(key.startswith("real.") for key in found["values"])
    assert "real measurements: absent" in capsys.readouterr().out
    assert "No real measurements in this run" in (tmp_path / "antun2020" / "index.html").read_text(encoding="utf-8")


def test_another_number_of_images_is_measured_named_and_shown(tmp_path, monkeypatch):
    monkeypatch.delenv("STABTEST_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    measure = importlib.import_module("experiments.antun2020.measure")
    monkeypatch.setitem(measure.SETTINGS, "published", TINY["antun2020"])
    run.run("antun2020", "published", images=2, kept=tmp_path / "kept")
    folder = tmp_path / "kept" / "published-2-images" / "antun2020"
    found = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    assert found["setting"]["images"] == 2
    assert len(found["values"]["change.automap-mri.2"]) == 2
    assert not (tmp_path / "reports").exists(), "what is published has the number of the setting"
    ours = next(one["ours"] for one in found["claims"] if one["id"] == "perturbation-automap-mri")
    assert "of 2 images" in ours
    assert claims.spread(found["values"]["change.automap-mri.2"]) in ours


def test_a_result_is_judged_again_without_a_measurement(tmp_path):
    folder = tmp_path / "antun2020"
    measured_before = {"claims": [], "figures": [], "experiment": "antun2020", "setting": {}, "values": {"a": [1.0, 3.0]}}
    folder.mkdir()
    (folder / "claims.json").write_text(json.dumps(measured_before), encoding="utf-8")
    page.rejudge(folder, "title", "source", [Claim("id", **WORDS, holds=("a < 3",))])
    again = page.rejudge(folder, "title", "source", [Claim("id", **WORDS, holds=("a < 1",))])
    assert [one["verdict"] for one in again["claims"]] == ["differs"]
    assert json.loads((folder / "claims.json").read_text(encoding="utf-8")) == again
    assert "differs" in (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("data", "holds"), [("real", "a < 1"), ("phantoms", "real.a < 1"), ("other", "a < 1")])
def test_a_claim_is_marked_as_on_what_it_compares(data, holds):
    with pytest.raises(ValueError, match="data"):
        Claim("id", **WORDS, holds=(holds,), data=data)


def test_a_name_that_was_not_measured_is_told_from_data_that_are_not_there():
    claim = Claim("id", **WORDS, holds=("real.a < 1",), data="real")
    assert judge(claim, {"a": [0.0]}).why == ABSENT
    assert "real.a" in judge(claim, {"real.b": [0.0]}).why


@pytest.mark.parametrize("name", WITH_REAL)
def test_quick_runs_do_not_depend_on_the_data(name):
    assert importlib.import_module(f"experiments.{name}.measure").SETTINGS["quick"]["real"] == 0


def measured(name, tmp_path, monkeypatch):
    """The document of a tiny run."""
    measure = importlib.import_module(f"experiments.{name}.measure")
    monkeypatch.setitem(measure.SETTINGS, "quick", TINY[name])
    if name == "genzel2022":  # one candidate for the weight of total variation: the choice is not what is tested
        monkeypatch.setattr(measure, "FACTORS", (1.0,))
    run.run(name, "quick", out=tmp_path / name, kept=tmp_path / "kept")
    (document,) = everything.gathered([tmp_path / name, tmp_path / "nothing"])
    return document
