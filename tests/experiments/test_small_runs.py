"""Experiments from end to end at tiny settings: pages with their figures, and a second run that measures nothing."""

from __future__ import annotations

import importlib
import json

import pytest

from experiments.frame import claims, run
from experiments.frame.pieces import Pieces

TINY = {
    "alaifari2022": {
        "images": 1,
        "real": 0,
        "radii": [0.02],
        "evaluations": 2,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri"],
    },
    "cheng2020": {"images": 1, "real": 0, "evaluations": 2, "places": 2, "methods": ["unet-mri", "zero-filled"]},
    "gottschling2020": {
        "size": 0.2,
        "data": 5.0,
        "images": 1,
        "real": 0,
        "steps": 1,
        "evaluations": 2,
        "draws": 1,
        "methods": {"mri": ["zero-filled", "unet-mri"]},
    },
}


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_run_writes_its_page_and_a_second_one_measures_nothing(name, tmp_path, monkeypatch):
    measure = importlib.import_module(f"experiments.{name}.measure")
    monkeypatch.setitem(measure.SETTINGS, "quick", TINY[name])
    run.run(name, "quick", out=tmp_path / "page", kept=tmp_path / "kept")
    assert (tmp_path / "page" / "index.html").exists()
    assert len(list((tmp_path / "page").glob("*.png"))) == 2
    pieces = Pieces(tmp_path / "kept" / "pieces")
    again = measure.measure(TINY[name], pieces)
    assert pieces.made == 0
    written = json.loads((tmp_path / "page" / "claims.json").read_text(encoding="utf-8"))["values"]
    assert written == {key: value for key, value in claims.rounded(again.values).items() if key in written}
