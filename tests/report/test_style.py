"""Colours of text against the paper in both schemes and in print, by the formula of WCAG 2.2 (contrast ratio)."""

import re
from importlib.resources import files

import pytest

CSS = files("stabtest.report").joinpath("style.css").read_text("utf-8")
SCHEMES = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_the_formula_gives_21_for_black_on_white():
    assert contrast("#000", "#fff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", range(3), ids=["light", "dark", "print"])
@pytest.mark.parametrize("name", ["ink", "soft", "link", "pass", "fail", "open", "mute"])
def test_text_stands_out_from_the_paper(scheme, name):
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", SCHEMES[scheme]))
    for ground in ("paper", "faint", "alert"):
        assert contrast(colours[name], colours[ground]) >= 4.5, ground


@pytest.mark.parametrize("scheme", range(3), ids=["light", "dark", "print"])
def test_lines_of_plots_stand_out_from_the_paper(scheme):
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", SCHEMES[scheme]))
    assert all(contrast(colours[f"t{tone}"], colours["paper"]) >= 3 for tone in range(6))


def test_nothing_outside_is_named():
    assert not re.search(r"url\(|@import|https?:", CSS)
