"""The frame of the experiments: pieces that are made once, pages that are the same each time, one small run from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib import pyplot

from experiments import __main__ as everything
from experiments.colbrook2022 import measure
from experiments.frame import page, run
from experiments.frame.claims import Claim, judge
from experiments.frame.pieces import Pieces

TINY = {"images": 1, "real": 0, "radii": [0.05], "evaluations": 2, "draws": 1, "methods": ["zero-filled"]}


@pytest.fixture
def calls():
    return []


def maker(calls):
    def make():
        calls.append(1)
        return {"a": np.arange(3.0), "b": 2.5}

    return make


def test_a_piece_is_made_once(tmp_path, calls):
    for _ in range(2):
        found = Pieces(tmp_path).get("one", {"radius": 0.1}, maker(calls))
    assert len(calls) == 1
    np.testing.assert_array_equal(found["a"], np.arange(3.0))
    assert float(found["b"]) == 2.5


def test_another_question_is_another_piece(tmp_path, calls):
    pieces = Pieces(tmp_path)
    for name, inputs in (("one", {"radius": 0.1}), ("one", {"radius": 0.2}), ("two", {"radius": 0.1})):
        pieces.get(name, inputs, maker(calls))
    assert len(calls) == 3


def test_other_code_is_another_piece(tmp_path, calls, monkeypatch):
    Pieces(tmp_path).get("one", {}, maker(calls))
    monkeypatch.setattr("experiments.frame.pieces.code_sha256", lambda: "changed")
    Pieces(tmp_path).get("one", {}, maker(calls))
    assert len(calls) == 2


def test_a_piece_that_was_not_finished_is_made_again(tmp_path, calls):
    def broken():
        raise KeyboardInterrupt

    pieces = Pieces(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pieces.get("one", {}, broken)
    pieces.get("one", {}, maker(calls))
    assert calls == [1]


def test_the_same_drawing_gives_the_same_file():
    def draw():
        drawing, axis = pyplot.subplots(figsize=(2, 2))
        axis.imshow(np.arange(16.0).reshape(4, 4), cmap="gray")
        return page.picture(drawing)

    assert draw() == draw()


def test_words_of_a_claim_cannot_become_markup():
    words = {"claim": "<script>1</script>", "published": "'\"&", "where": "w", "how": "h"}
    text = page.table([page.entry(judge(Claim("id", **words, holds=("a < b",)), {}))])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_small_run_writes_its_page_and_goes_on_from_what_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(measure.SETTINGS, "quick", TINY)
    out = tmp_path / "root" / "colbrook2022"
    judged = run.run("colbrook2022", "quick", out=out, kept=tmp_path / "kept")
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    again = run.run("colbrook2022", "quick", out=out, kept=tmp_path / "kept")
    assert "worst-" not in capsys.readouterr().out, "measured again"
    assert judged == again
    assert first == {path.name: path.read_bytes() for path in out.iterdir()}
    assert {one["verdict"] for one in judged} == {"cannot be tested here"}
    change = json.loads(first["claims.json"])["values"]["change.zero-filled.0.05"]
    # A linear method with orthonormal samples: every perturbation of this size changes the image by as much.
    assert change[0] == pytest.approx(0.05, rel=1e-5)
    documents = everything.gathered([out, tmp_path / "nothing"])
    everything.write(tmp_path / "root" / "claims", documents)
    text = (tmp_path / "root" / "claims" / "index.html").read_text(encoding="utf-8")
    assert "../colbrook2022/index.html" in text
    assert everything.tally(documents) in text
