import math

import pytest
import torch

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import Radon
from stabtest.stability.cases import Method
from stabtest.stability.kernel import claim
from stabtest.stability.null_space import split


def ask(method, case, detail, **options):
    return claim(method, case.operator, case.measurement, case.truth, detail, noise_std=case.noise_std, **options)


def test_the_detectability_is_that_of_an_ideal_observer(build):
    case = build.head_case()
    h = build.random_image(case.operator)
    found = ask(build.linear(), case, h)
    sigma = case.noise_std / math.sqrt(2)
    assert found.data_detectability == pytest.approx(float(tensors.norm(case.operator.forward(h))) / sigma, rel=1e-9)


def test_nobody_recovers_a_detail_of_the_null_space(build):
    case = build.head_case()
    h = split(case.operator, build.random_image(case.operator)).null
    for method in (build.linear(), build.hallucinator(case, 50.0)[0]):
        found = ask(method, case, h)
        assert not found.determined
        assert found.data_detectability < 1e-6
        assert abs(found.recovery) < 1e-8


def test_a_detail_that_is_painted_in_is_claimed_without_being_there(build):
    case = build.head_case()
    h = split(case.operator, build.random_image(case.operator)).null
    method, _, _ = build.hallucinator(case, 0.0)
    painter = Method("painter", "under test", lambda y, A: method.reconstruct(y, A) + h)
    found = ask(painter, case, h)
    assert not found.determined
    assert found.absent == pytest.approx(1, abs=0.01)
    assert found.present == pytest.approx(found.absent, abs=1e-9)


def test_a_guess_from_the_prior_is_a_claim_that_the_data_do_not_determine(build):
    case = build.head_case()
    kappa = 1000.0
    method, n, r = build.hallucinator(case, kappa)
    trace = 2 * case.noise_std / math.sqrt(2)  # d' = 2 of the trace in the data
    found = ask(method, case, trace * (r + kappa * n))
    assert found.data_detectability == pytest.approx(2, rel=1e-6)
    assert not found.determined
    assert found.recovery == pytest.approx(1, abs=1e-6)


def test_what_is_measured_is_determined_and_seen(build):
    case = build.head_case()
    h = split(case.operator, build.random_image(case.operator)).measured
    found = ask(build.linear(), case, h)
    assert found.determined
    assert found.recovery == pytest.approx(1, abs=1e-9)
    assert found.null_space_share < 1e-9


def test_what_is_measured_and_erased_is_determined_and_missed(build):
    case = build.head_case()
    h = split(case.operator, build.random_image(case.operator)).measured
    blind = Method("blind", "under test", lambda y, A: 0 * A.pseudo_inverse(y))
    found = ask(blind, case, h)
    assert found.determined
    assert found.recovery == pytest.approx(0, abs=1e-12)


def test_the_threshold_decides_and_is_the_callers(build):
    case = build.head_case()
    h = split(case.operator, build.random_image(case.operator)).measured
    h = h * 4 * case.noise_std / math.sqrt(2) / float(tensors.norm(case.operator.forward(h)))
    assert not ask(build.linear(), case, h).determined
    assert ask(build.linear(), case, h, least=3.9).determined


def test_without_noise_level_the_null_space_decides(build):
    case = build.head_case(operator=Radon(16, 8), noise_known=False)
    smooth = torch.ones_like(case.truth)
    assert ask(build.linear(), case, smooth).determined
    assert ask(build.linear(), case, smooth).data_detectability is None
    assert not ask(build.linear(), case, smooth, most_null_space=0.0).determined


def test_zeros_and_magnitudes_are_refused(build):
    case = build.head_case()
    with pytest.raises(DataError, match="zero"):
        ask(build.linear(), case, 0 * case.truth)
    with pytest.raises(DataError, match="magnitudes"):
        ask(Method("abs", "under test", lambda y, A: A.pseudo_inverse(y).abs()), case, case.truth)
