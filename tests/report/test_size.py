"""A page stays below 15 MB, whatever the pictures that are asked for and however many the cases."""

from __future__ import annotations

import numpy as np
import pytest

from stabtest.audit.config.settings import AuditSection
from stabtest.report import render
from stabtest.report.blocks import LONGEST
from tests.report.factory import full, picture

LIMIT = 15_000_000
BUDGET = 1e6 * next(bound.le for bound in AuditSection.model_fields["pictures_mb"].metadata if hasattr(bound, "le"))
"""The most pictures that a configuration may ask for."""


def noise_pictures(cases, *, size=495):
    """Of the three cases that a section shows, by three methods; of noise: no compression makes these small."""
    rng = np.random.default_rng(0)
    return [
        picture(rng.uniform(size=(size, size)), section="quality", case=case, method=method, role="clean")
        for case in cases[:3]
        for method in ("unet-mri", "TV", "zero-filled")
    ]


@pytest.mark.parametrize("cases", [3, 200])
def test_the_largest_page_that_an_audit_makes(cases):
    document = full(cases=cases)
    pictures = noise_pictures([case.name for case in document.data.cases])
    spent = sum(len(one.data) for one in pictures)
    assert 0.9 * BUDGET < spent <= BUDGET
    page = render(document.model_copy(update={"pictures": pictures}))
    assert all(one.data in page for one in pictures)
    assert len(page.encode()) < LIMIT


def test_a_long_table_says_that_there_are_more_rows():
    document = full(cases=200)
    rows = len(document.quality)
    assert rows > LONGEST
    assert f"The first {LONGEST} of {rows} rows" in render(document)


def test_a_short_table_is_whole():
    assert "The first" not in render(full(cases=3))
