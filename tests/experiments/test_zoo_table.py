"""The table of the zoo: every reconstructor that makes images stands in it, and its numbers are those of cards and phantoms."""

import re

import pytest
import torch

import reconstructors
from experiments import zoo_table
from experiments.training.recipes import RECIPES
from reconstructors import zoo
from stabtest.metrics import psnr


def test_every_reconstructor_that_makes_images_has_a_row():
    expected = {name for name in reconstructors.names() if zoo.load(name).card.get("reconstructs", True)}
    assert {name for name, _ in zoo_table.rows([])} == expected


def test_the_readme_has_a_row_for_each():
    text = zoo_table.README.read_text(encoding="utf-8")
    table = text.split(zoo_table.MARKS[0])[1].split(zoo_table.MARKS[1])[0]
    named = re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE)
    assert sorted(named) == sorted(name for name, _ in zoo_table.rows([]))


def test_rows_of_trained_networks_are_their_cards(monkeypatch):
    monkeypatch.delenv("STABTEST_DATA", raising=False)
    held = zoo.read_card("unet-mri")["held_out"]
    cells = [cell.strip() for cell in zoo_table.row("unet-mri", "mri", images=2).split("|")[1:-1]]
    assert cells[3:6] == [f"{held['psnr_db'][name]:.1f}" for name in ("direct", "tv", "network")]
    assert cells[6].startswith(f"{held['psnr_gain_over_tv_db']['mean']:+.1f} [")
    assert cells[7] == "-"


def test_a_classical_method_is_scored_on_held_out_phantoms(monkeypatch):
    monkeypatch.delenv("STABTEST_DATA", raising=False)
    scores = zoo_table.classical_scores("zero-filled", "mri", 2)
    truth, y = zoo_table.phantoms("unet-mri", 2)
    assert scores["own"] == pytest.approx(psnr(RECIPES["unet-mri"].build_operator().pseudo_inverse(y), truth).mean().item())
    assert scores["own"] == pytest.approx(scores["direct"])
    assert torch.isfinite(torch.tensor(scores["gain"])).all()


def test_rows_are_put_in_place_of_those_of_the_same_name_and_scan():
    def line(name, scan):
        return f"| `{name}` | {scan} 128 | old |\n"

    text = f"above\n{zoo_table.MARKS[0]}\n{zoo_table.HEADER}{line('tv', 'MRI')}{line('tv', 'CT')}{line('gone', 'MRI')}{zoo_table.MARKS[1]}\nbelow"
    made = zoo_table.written(
        text, {("tv", "ct"): "| `tv` | CT 128 | new |\n", ("unet-mri", "mri"): "| `unet-mri` | MRI 128 | new |\n"}
    )
    assert made.startswith("above\n")
    assert made.endswith("\nbelow")
    rows = [row for row in made.splitlines() if row.startswith("| `")]
    assert rows == ["| `tv` | MRI 128 | old |", "| `unet-mri` | MRI 128 | new |", "| `tv` | CT 128 | new |"]
