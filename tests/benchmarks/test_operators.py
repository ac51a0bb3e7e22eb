"""The oracle of the operators' benchmark, and that it notices a wrong adjoint."""

import numpy as np
import pytest
from scipy.integrate import quad

from benchmarks import operators


def test_chords_are_means_over_the_bins():
    found = operators.chords(11, 5.2, 3.1)
    for index, value in enumerate(found):
        edges = np.clip([index - 5.7, index - 4.7], -3.1, 3.1)
        assert value == pytest.approx(quad(lambda s: 2 * np.sqrt(max(0.0, 3.1**2 - s**2)), *edges)[0], abs=1e-7)


def test_the_pixels_hold_the_area_of_the_disc():
    assert operators.disc(24, 11.5, 8.0).sum() == pytest.approx(np.pi * 64, rel=2e-3)


def test_a_small_run_ends_well(capsys):
    assert operators.main(["--sizes", "16", "--views", "6", "--repeats", "1"]) == 0
    assert "scikit-image" in capsys.readouterr().out


def test_a_wrong_adjoint_is_noticed(monkeypatch):
    """Control."""
    right = operators.Ours.back
    monkeypatch.setattr(operators.Ours, "back", lambda self, sinogram: right(self, sinogram).T)
    assert operators.main(["--sizes", "16", "--views", "6", "--repeats", "1"]) == 1
