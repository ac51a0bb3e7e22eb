"""APGD against the algorithm of the paper, written again in NumPy for one image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stabtest.search.published import apgd
from stabtest.search.published.apgd import checkpoints

R = 0.7


def by_hand(toy, bent, image, v, steps, norm):
    """Algorithm 1 of Croce and Hein 2020 as it stands: every point evaluated, in order, and the steps used."""
    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    marks = [math.ceil(round(q * steps, 9)) for q in p if q <= 1 + 1e-9]
    size, trace, sizes = 2.0, [], []
    points, values, maxima = [toy.project(v, R, norm)], [], []
    value, gradient = bent.value_and_gradient(image, points[0])
    trace.append(points[0])
    values.append(value)
    best = (value, points[0], gradient)
    maxima.append(value)
    raised, halved = [], {0: True}
    for k in range(1, steps + 1):
        z = toy.project(points[-1] + size * toy.uphill(gradient, R, norm), R, norm)
        step = 1.0 if k == 1 else 0.75
        new = toy.project(
            points[-1] + step * (z - points[-1]) + (1 - step) * (points[-1] - points[-2 if k > 1 else -1]), R, norm
        )
        trace.append(new)
        value, gradient = bent.value_and_gradient(image, new)
        raised.append(value > values[-1])
        points.append(new)
        values.append(value)
        if value > best[0]:
            best = (value, new, gradient)
        maxima.append(best[0])
        sizes.append(size)
        if k in marks and k > 0:
            before = marks[marks.index(k) - 1]
            few = sum(raised[before:k]) < 0.75 * (k - before)
            stuck = not halved[before] and maxima[before] == maxima[k]
            halved[k] = few or stuck
            if halved[k]:
                size /= 2
                values[-1], points[-1], gradient = best
    return np.stack(trace), sizes


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("steps", [9, 60, 100])
def test_every_point_is_the_one_of_the_published_algorithm(toy, lab, norm, steps):
    bent = toy.Bent(bend=1.5)
    leader = toy.Recorder(bent.problem(R, norm))
    apgd(bent.problem(R, norm), leader, steps=steps, generator=lab.seeded(0), start=toy.start)
    for image in range(2):
        expected, sizes = by_hand(toy, bent, image, toy.start[image].flatten().numpy(), steps, norm)
        np.testing.assert_allclose(leader.trace[:, image], expected, rtol=1e-6, atol=1e-7)
        assert steps < 60 or sizes[-1] < 2  # control: the problem makes the step halve


def test_checkpoints_of_a_hundred_steps_are_the_published_ones():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 37, 1000])
def test_checkpoints_rise_within_the_steps(steps):
    marks = checkpoints(steps)
    assert marks == sorted(set(marks))
    assert marks[0] >= 1
    assert marks[-1] <= steps


def test_image_that_oscillates_goes_on_from_its_best_point(toy, lab):
    """After a halving the next point starts from the best so far, so that the end is never far below it."""
    bent = toy.Bent(bend=3.0)
    leader = toy.Recorder(bent.problem(R))
    apgd(bent.problem(R), leader, steps=100, generator=lab.seeded(0), start=toy.start)
    assert (leader.values[-1] > 0.98 * leader.value).all()


def test_published_settings_are_the_defaults():
    assert {k: apgd.__kwdefaults__[k] for k in ("step_size", "momentum", "rho")} == {
        "step_size": 2.0,
        "momentum": 0.75,
        "rho": 0.75,
    }
