"""Momentum ascent against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import torch

from stabtest import tensors
from stabtest.search.published import antun_2020

R = 0.7


def by_hand(toy, bent, image, v, *, steps, rate, momentum, penalty):
    speed, trace = np.zeros(6), [v]
    for _ in range(steps):
        value, gradient = bent.value_and_gradient(image, v)
        speed = momentum * speed + rate * (value * gradient - penalty * v)
        v = toy.project(v + speed, R)
        trace.append(v)
    return np.stack(trace)


def test_every_step_is_the_formula(toy, lab):
    bent, start = toy.Bent(bend=0.5), 0.01 * toy.start
    leader = toy.Recorder(bent.problem(R))
    antun_2020(
        bent.problem(R),
        leader,
        steps=40,
        learning_rate=0.03,
        momentum=0.8,
        penalty=0.2,
        stop_at_radius=False,
        generator=lab.seeded(0),
        start=start,
    )
    for image in range(2):
        expected = by_hand(toy, bent, image, start[image].flatten().numpy(), steps=40, rate=0.03, momentum=0.8, penalty=0.2)
        np.testing.assert_allclose(leader.trace[:, image], expected, rtol=1e-9, atol=1e-12)


def test_as_published_each_image_stops_where_it_reaches_the_radius(toy, lab):
    bent, start = toy.Bent(bend=0.5), 0.01 * toy.start
    leader = toy.Recorder(bent.problem(R))
    antun_2020(bent.problem(R), leader, steps=500, learning_rate=0.01, generator=lab.seeded(0), start=start)
    assert 3 < leader.evaluations < 500
    for image in range(2):
        free = by_hand(toy, bent, image, start[image].flatten().numpy(), steps=500, rate=0.01, momentum=0.9, penalty=1e-3)
        first = int(np.argmax(np.linalg.norm(free, axis=1) >= R * (1 - 1e-6)))
        np.testing.assert_allclose(leader.trace[-1, image], free[first], rtol=1e-9, atol=1e-12)


def test_random_start_has_its_norm_relative_to_the_radius(toy, lab):
    problem = toy.Bent(bend=0.5).problem(R)
    leader = toy.Recorder(problem)
    antun_2020(problem, leader, steps=0, start_norm=1e-3, generator=lab.seeded(0))
    torch.testing.assert_close(tensors.norm(leader.points[0]), 1e-3 * problem.constraint.radius)


def test_published_defaults_are_those_of_deep_mri_net():
    defaults = antun_2020.__kwdefaults__
    assert {name: defaults[name] for name in ("learning_rate", "momentum", "penalty", "stop_at_radius")} == {
        "learning_rate": 0.01,
        "momentum": 0.9,
        "penalty": 0.001,
        "stop_at_radius": True,
    }
