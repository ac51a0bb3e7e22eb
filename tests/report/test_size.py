"""A page stays below 15 MB, whatever the pictures and however many the cases."""

from __future__ import annotations

import numpy as np

from stabtest.audit.pictures import BUDGET
from stabtest.report import render
from tests.report.factory import full, picture

LIMIT = 15_000_000


def noise_pictures(cases, *, size=256):
    """As many pictures as the budget takes, of noise: no compression makes these small."""
    rng, made, spent = np.random.default_rng(0), [], 0
    for case in cases:
        for method in ("unet-mri", "TV", "zero-filled"):
            one = picture(rng.uniform(size=(size, size)), section="quality", case=case, method=method, role="clean")
            spent += len(one.data)
            if spent > BUDGET:
                return made, spent - len(one.data)
            made.append(one)
    raise AssertionError("too few cases for the budget")


def test_the_largest_page_that_an_audit_makes():
    document = full(cases=60)
    pictures, spent = noise_pictures([case.name for case in document.data.cases])
    assert spent > 0.9 * BUDGET
    page = render(document.model_copy(update={"pictures": pictures}))
    assert spent < len(page.encode()) < LIMIT
