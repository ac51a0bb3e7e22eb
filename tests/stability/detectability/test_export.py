import csv
import json

import numpy as np
import pytest
import torch

from stabtest.errors import ConfigError, DataError
from stabtest.stability.detectability import Encoding, export_pairs, export_study, fitting_encoding

SHAPE = (6, 1, 5, 8)


def read_meta_image(path):
    """A small reader of its own: keys from the text, one file or a pattern of files, the first axis fastest."""
    keys = dict(line.split(" = ", 1) for line in path.read_text().splitlines())
    size = [int(n) for n in keys["DimSize"].split()]
    assert len(size) == int(keys["NDims"])
    assert keys["BinaryDataByteOrderMSB"] == "False"
    kind = {"MET_SHORT": "<i2", "MET_FLOAT": "<f4"}[keys["ElementType"]]
    name, *numbers = keys["ElementDataFile"].split()
    if numbers:
        first, last, step = map(int, numbers)
        raw = b"".join((path.parent / (name % k)).read_bytes() for k in range(first, last + 1, step))
    else:
        raw = (path.parent / name).read_bytes()
    stored = np.frombuffer(raw, kind).reshape(size[::-1])
    scaled = stored * float(keys["ElementToIntensityFunctionSlope"]) + float(keys["ElementToIntensityFunctionOffset"])
    return stored, scaled, keys


@pytest.fixture
def study():
    generator = torch.Generator().manual_seed(0)
    absent = 1000 + 20 * torch.randn(SHAPE, generator=generator)
    present = 1000 + 20 * torch.randn(SHAPE, generator=generator)
    return absent, present


def test_round_trip_of_floats(tmp_path, study):
    absent, present = study
    export_study(tmp_path, absent, present, spacing=0.664)
    for kind, images in (("signal_absent", absent), ("signal_present", present)):
        stored, _, keys = read_meta_image(tmp_path / kind / f"{kind}.mhd")
        assert np.array_equal(stored, images[:, 0].numpy())
        assert keys["ElementSpacing"] == "0.664 0.664 1"
        assert keys["DimSize"] == "8 5 6"


def test_round_trip_of_integers_in_hounsfield_units(tmp_path, study):
    absent, present = study
    path = export_study(tmp_path, absent, present, encoding=Encoding("int16", slope=0.5, offset=-24.0))
    stored, scaled, _ = read_meta_image(tmp_path / "signal_present" / "signal_present.mhd")
    assert stored.dtype == np.dtype("<i2")
    assert np.abs(scaled - present[:, 0].numpy()).max() <= 0.25 + 1e-4
    said = json.loads(path.read_text())
    assert (said["slope"], said["offset"], said["byte_order"]) == (0.5, -24.0, "little-endian")


def test_the_fitting_encoding_loses_little(tmp_path, study):
    absent, present = study
    export_study(tmp_path, absent, present, encoding=fitting_encoding(torch.cat(study)))
    _, scaled, _ = read_meta_image(tmp_path / "signal_absent" / "signal_absent.mhd")
    assert np.abs(scaled - absent[:, 0].numpy()).max() <= float(torch.cat(study).max() - torch.cat(study).min()) / 130000 * 1.01


def test_files_are_named_as_the_pattern_says(tmp_path, study):
    export_study(tmp_path, *study)
    names = sorted(path.name for path in (tmp_path / "signal_absent").iterdir())
    assert names == ["signal_absent.mhd", *(f"signal_absent_{k:03d}.raw" for k in range(1, 7))]
    assert len((tmp_path / "signal_absent" / "signal_absent_001.raw").read_bytes()) == 5 * 8 * 4


def test_the_truth_and_the_scores_go_along(tmp_path, study):
    truth = torch.arange(40.0).reshape(1, 1, 5, 8)
    scores = {"npw": (np.linspace(0, 1, 6) / 3, np.linspace(1, 2, 6) / 7)}
    path = export_study(tmp_path, *study, truth=truth, scores=scores, about={"diameter_px": 4.0, "method": "net"})
    _, scaled, keys = read_meta_image(tmp_path / "ground_truth.mhd")
    assert np.array_equal(scaled, truth[0, 0].numpy())
    assert keys["NDims"] == "2"
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    back = [[float(r["score"]) for r in rows if r["signal"] == kind] for kind in ("absent", "present")]
    assert np.array_equal(back[0], scores["npw"][0])
    assert np.array_equal(back[1], scores["npw"][1])
    assert [r["image"] for r in rows[:6]] == [str(k) for k in range(1, 7)]
    assert json.loads(path.read_text())["about"] == {"diameter_px": 4.0, "method": "net"}


def test_complex_images_go_out_as_magnitudes(tmp_path):
    images = torch.full((2, 1, 3, 3), 3 + 4j)
    export_study(tmp_path, images, images)
    assert np.unique(read_meta_image(tmp_path / "signal_absent" / "signal_absent.mhd")[0]).tolist() == [5.0]


def test_an_intensity_that_does_not_fit_writes_nothing(tmp_path, study):
    absent, present = study
    with pytest.raises(DataError, match="export as int16"):
        export_study(tmp_path / "a", absent, present, encoding=Encoding("int16", slope=0.001))
    with pytest.raises(DataError, match="finite"):
        export_study(tmp_path / "a", absent, present * float("nan"))
    with pytest.raises(DataError, match="float32"):
        export_study(tmp_path / "a", absent, present.double() * 1e39)
    assert not (tmp_path / "a").exists()


def test_what_does_not_belong_together(tmp_path, study):
    absent, present = study
    with pytest.raises(DataError, match="as many images"):
        export_study(tmp_path, absent[:3], present)
    with pytest.raises(DataError, match="scores of npw"):
        export_study(tmp_path, absent, present, scores={"npw": (np.zeros(5), np.zeros(6))})
    with pytest.raises(DataError, match="truth"):
        export_study(tmp_path, absent, present, truth=torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize(
    "arguments", [{"element": "int8"}, {"slope": 0.0}, {"element": "float32", "slope": 2.0}, {"offset": float("nan")}]
)
def test_impossible_encodings(arguments):
    with pytest.raises(ConfigError, match="export"):
        Encoding(**arguments)


def test_pairs_are_numbered_alike(tmp_path, study):
    absent, present = study
    export_pairs(tmp_path, {"truth": absent, "net": present}, spacing=2.0)
    for name, images in (("truth", absent), ("net", present)):
        stored, _, keys = read_meta_image(tmp_path / name / f"{name}.mhd")
        assert np.array_equal(stored, images[:, 0].numpy())
        assert keys["ElementSpacing"] == "2 2 1"


def test_pairs_of_other_shapes_are_none(tmp_path, study):
    with pytest.raises(DataError, match="one shape"):
        export_pairs(tmp_path / "a", {"truth": study[0], "net": study[1][:2]})
    assert not (tmp_path / "a").exists()
