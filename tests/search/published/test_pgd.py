"""PGD against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from stabtest.search.published import pgd

R = 0.7


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("size", [None, 0.3])
def test_every_step_is_the_formula(toy, lab, norm, size):
    bent = toy.Bent(bend=0.5)
    leader = toy.Recorder(bent.problem(R, norm))
    pgd(bent.problem(R, norm), leader, steps=20, step_size=size, generator=lab.seeded(0), start=toy.start)
    share = 2.5 / 20 if size is None else size
    for image in range(2):
        v = toy.project(toy.start[image].flatten().numpy(), R, norm)
        for offered in leader.trace[:, image]:
            np.testing.assert_allclose(offered, v, rtol=1e-9, atol=1e-12)
            gradient = bent.value_and_gradient(image, v)[1]
            v = toy.project(v + share * toy.uphill(gradient, R, norm), R, norm)


def test_boundary_is_reached_from_the_centre(toy, lab):
    bent = toy.Bent(bend=0.0)
    leader = toy.Recorder(bent.problem(R))
    pgd(bent.problem(R), leader, steps=10, generator=lab.seeded(0), start=1e-6 * toy.start)
    np.testing.assert_allclose(np.linalg.norm(leader.trace[-1], axis=1), R, rtol=1e-9)
