"""A witness judged elsewhere: by its definition, from the stored numbers alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stabtest.errors import NetworkError, SearchError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.constraints import ball
from stabtest.search.replay import replay, same_operator, violation
from stabtest.search.verify import TOLERANCE
from stabtest.search.witness import Witness, witness_of
from stabtest.search.worst_case import worst_case


@pytest.fixture
def found(lab, fourier, measurement):
    return worst_case(lab.SmallCNN(), fourier, measurement, radius=0.05, evaluations=6)


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_replay_on_its_own_network_finds_what_the_search_reported(lab, fourier, measurement, domain):
    worst = worst_case(lab.SmallCNN(), fourier, measurement, radius=0.05, domain=domain, evaluations=6)
    witness = witness_of(worst, fourier, measurement)
    again = replay(witness, lab.SmallCNN(), fourier, measurement)
    torch.testing.assert_close(again.relative_change, worst.relative_change, rtol=1e-5, atol=0)
    torch.testing.assert_close(again.gain, worst.gain, rtol=1e-5, atol=0)
    torch.testing.assert_close(again.objective, worst.objective, rtol=1e-5, atol=0)
    assert again.feasible == [True, True]
    assert witness.domain == domain


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_replay_on_a_linear_network_is_its_matrix(lab, fourier, measurement, found, domain):
    """Oracle: the dense matrix of another network, in NumPy."""
    other = lab.ConjugateMixing(8, seed=3)
    worst = worst_case(lab.SmallCNN(), fourier, measurement, radius=0.05, domain=domain, evaluations=3)
    again = replay(witness_of(worst, fourier, measurement), other, fourier, measurement)
    matrix = lab.dense(other, fourier, measurement[:1].to(torch.complex128), domain=domain)
    v = worst.variable[0].numpy().ravel()
    change = np.linalg.norm(matrix @ np.concatenate([v.real, v.imag]))
    assert again.distance[0].item() == pytest.approx(change, rel=1e-4)


def test_replay_takes_the_measurement_of_the_witness(lab, fourier, measurement, found):
    witness = witness_of(found, fourier, measurement, keep_measurement=True)
    given = replay(witness, lab.SmallCNN(1), fourier, measurement)
    kept = replay(witness, lab.SmallCNN(1), fourier)
    assert torch.equal(given.perturbed, kept.perturbed)
    with pytest.raises(SearchError, match="measurement"):
        replay(replace(witness, measurement=None), lab.SmallCNN(1), fourier)


def test_an_infeasible_witness_is_put_in_as_it_is_and_said_to_be_infeasible(lab, fourier, measurement, found):
    witness = witness_of(found, fourier, measurement)
    larger = replace(witness, perturbation=witness.perturbation * torch.tensor([1.0, 1.5]).reshape(2, 1, 1, 1))
    again = replay(larger, lab.SmallCNN(), fourier, measurement)
    assert again.feasible == [True, False]
    assert again.violation[1].item() == pytest.approx(0.5, rel=1e-5)
    torch.testing.assert_close(again.norm[1], 1.5 * witness.radius[1].double(), rtol=1e-5, atol=0)


def test_a_witness_off_the_measured_samples_is_infeasible(lab, fourier, measurement, found):
    witness = witness_of(found, fourier, measurement)
    moved = replace(witness, perturbation=witness.perturbation.roll(1, -1))
    e = moved.perturbation.numpy().astype(complex)
    off = np.linalg.norm((e * ~fourier.mask.numpy()).reshape(2, -1), axis=1) / witness.radius.numpy()
    np.testing.assert_allclose(violation(moved, fourier).numpy(), off, rtol=1e-5)
    assert (off > 0.1).all()


def test_violation_of_the_largest_modulus():
    v = torch.zeros(1, 1, 4, 4)
    v[0, 0, 0, 0], v[0, 0, 1, 1] = 0.3, -0.5
    witness = Witness(v, domain="image", norm="linf", radius=torch.tensor([0.4]))
    assert violation(witness, Identity((4, 4))).item() == pytest.approx(0.25, rel=1e-6)
    assert violation(replace(witness, radius=torch.tensor([0.5])), Identity((4, 4))).item() <= TOLERANCE
    assert violation(replace(witness, norm="l2"), Identity((4, 4))).item() == pytest.approx(np.hypot(0.3, 0.5) / 0.4 - 1)


def test_violation_of_region_and_floor():
    v = torch.zeros(1, 1, 4, 4)
    v[0, 0, 0, 0], v[0, 0, 1, 1] = 0.3, -0.4
    witness = Witness(v, domain="measurement", radius=torch.tensor([1.0]))
    region = torch.zeros(4, 4, dtype=torch.bool)
    region[0, 0] = True
    assert violation(replace(witness, region=region), Identity((4, 4))).item() == pytest.approx(0.4)
    assert violation(replace(witness, floor=torch.full((4, 4), -0.1)), Identity((4, 4))).item() == pytest.approx(0.3)
    assert violation(replace(witness, region=~torch.zeros(4, 4, dtype=torch.bool)), Identity((4, 4))).item() == 0


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("size", [0.5, 1.5])
def test_two_ways_to_judge_agree(lab, norm, size):
    """The search's own set says the same of points inside it and outside its norm; the code is another."""
    A = Radon(8, 5)
    y = A.forward(torch.ones(2, 1, 8, 8))
    region = torch.zeros(A.range.shape, dtype=torch.bool)
    region[..., :4] = True
    K = ball("measurement", A, torch.tensor([0.3, 2.0]), norm=norm, region=region, floor=-y)
    inside = K.maximise_linear(A.range.randn(2, generator=lab.seeded(1)))
    v = size * inside
    witness = Witness(v, domain="measurement", norm=norm, radius=K.radius, region=region, floor=-y)
    torch.testing.assert_close(violation(witness, A), K.violation(v), rtol=1e-12, atol=1e-12)
    assert (violation(witness, A) > 0.01).tolist() == ([False, False] if size < 1 else [True, True])


def test_what_is_not_a_number_is_not_feasible():
    witness = Witness(torch.full((1, 1, 2, 2), torch.nan), domain="measurement", radius=torch.tensor([1.0]))
    assert replay(witness, lambda y, A: y, Identity((2, 2)), torch.ones(1, 1, 2, 2)).feasible == [False]


def test_a_network_that_breaks_has_infinite_damage():
    witness = Witness(torch.full((1, 1, 2, 2), -1.0), domain="measurement", radius=torch.tensor([2.0]))
    again = replay(witness, lambda y, A: torch.log(y), Identity((2, 2)), torch.full((1, 1, 2, 2), 0.5))
    assert again.relative_change.item() == again.gain.item() == torch.inf
    with pytest.raises(NetworkError, match="finite"):
        replay(witness, lambda y, A: torch.log(-y), Identity((2, 2)), torch.full((1, 1, 2, 2), 0.5))


def test_objective_by_name_and_by_callable(lab, fourier, measurement, found):
    truth = fourier.domain.randn(2, generator=lab.seeded(8))
    witness = witness_of(found, fourier, measurement, objective="truth")
    again = replay(witness, lab.SmallCNN(), fourier, measurement, truth=truth)
    expected = np.linalg.norm((again.perturbed - truth).detach().numpy().reshape(2, -1), axis=1)
    np.testing.assert_allclose(again.objective.numpy(), expected, rtol=1e-5)
    assert replay(witness, lab.SmallCNN(), fourier, measurement).objective is None
    peak = replay(witness, lab.SmallCNN(), fourier, measurement, objective=lambda image: image.abs().flatten(1).amax(1))
    assert torch.equal(peak.objective, again.perturbed.abs().flatten(1).amax(1))


def test_one_image_of_many_is_the_same_witness(lab, fourier, measurement, found):
    witness = witness_of(found, fourier, measurement, cases=["a", "b"], keep_measurement=True)
    both, second = replay(witness, lab.SmallCNN(1), fourier), replay(witness.image(1), lab.SmallCNN(1), fourier)
    torch.testing.assert_close(second.gain[0], both.gain[1], rtol=1e-5, atol=0)
    assert witness.image(1).cases == ("b",)
    assert witness.image(1).measurement_sha256 == witness.measurement_sha256[1:]


@pytest.mark.parametrize("other", [Fourier(torch.ones(8, 9, dtype=torch.bool)), Identity((8, 8))])
def test_an_operator_of_another_shape_or_kind_is_refused(lab, fourier, measurement, found, other):
    witness = witness_of(found, fourier, measurement)
    with pytest.raises(SearchError, match="perturbation"):
        replay(witness, lab.SmallCNN(), other, other.range.zeros(2))


def test_wrong_number_of_measurements_is_refused(lab, fourier, measurement, found):
    with pytest.raises(SearchError, match="2 image"):
        replay(witness_of(found, fourier, measurement), lab.SmallCNN(), fourier, measurement[:1])


def test_a_witness_without_a_domain_says_so(lab, fourier, measurement):
    with pytest.raises(SearchError, match="domain"):
        replay(Witness(measurement), lab.SmallCNN(), fourier, measurement)


def test_the_operator_is_told_by_its_action(fourier, measurement, found, lab):
    witness = witness_of(found, fourier, measurement)
    assert same_operator(witness, Fourier(fourier.mask.clone()))
    one_sample_more = fourier.mask.clone()
    one_sample_more.view(-1)[int((~fourier.mask).flatten().nonzero()[0])] = True
    assert not same_operator(witness, Fourier(one_sample_more))
    assert same_operator(Witness(measurement), Fourier(one_sample_more))  # a file that does not know


def test_an_angle_that_is_slightly_off_is_another_operator():
    angles = np.linspace(0, np.pi, 9, endpoint=False)
    y = Radon(12, 9).range.zeros(1)
    witness = Witness(y, domain="measurement")
    from stabtest.search.probe import probe

    base = Radon(12, tuple(angles))
    turned = Radon(12, tuple(angles + np.eye(9)[4] * 0.01))
    witness = replace(witness, operator_probe=probe(base))
    assert same_operator(witness, Radon(12, tuple(angles)))
    assert not same_operator(witness, turned)


def test_precision_of_the_replay_is_that_of_the_measurement(lab, fourier, measurement, found):
    witness = witness_of(found, fourier, measurement)
    again = replay(witness, lab.SmallCNN(dtype=torch.float64), fourier, measurement.to(torch.complex128))
    assert again.perturbed.dtype == torch.complex128
    torch.testing.assert_close(again.relative_change.float(), found.relative_change, rtol=1e-4, atol=0)
