import math

import pytest

from stabtest.audit.document.brackets import join_gains
from stabtest.errors import BoundsError
from stabtest.findings.records import Bracket, WorstCaseRow


def bracket(status, upper=50.0, case="a", name="measurement to image"):
    return Bracket(
        name=name, case=case, lower=2, lower_source="Jacobian", upper=upper, upper_status=status, upper_source="layers"
    )


def found(gain, case="a", method="net", radius=0.05):
    return WorstCaseRow(
        case=case,
        method=method,
        domain="measurement",
        objective="clean",
        radius=radius,
        radius_absolute=1,
        relative_change=0.3,
        relative_error=None,
        clean_error=None,
        gain=gain,
        local_damage=0.3,
        noise_change_median=0.01,
        noise_change_max=0.01,
        noise_draws=8,
        violation=0,
        evaluations=10,
        history=[],
        status="converged",
    )


@pytest.mark.parametrize("status", ["certified", "probabilistic", "on a ball"])
def test_a_gain_above_a_bound_that_holds_for_it_stops_the_audit(status):
    with pytest.raises(BoundsError, match=r"exceeds the bound.*at most 50; came 70 on a"):
        join_gains([bracket(status)], [found(3), found(70, radius=0.005)], "net")


@pytest.mark.parametrize("status", ["certified", "probabilistic"])
def test_a_bound_for_all_measurements_is_held_against_every_case(status):
    with pytest.raises(BoundsError):
        join_gains([bracket(status)], [found(70, case="b")], "net")
    assert join_gains([bracket(status)], [found(7, case="b")], "net")[0].lower == 7


def test_a_bound_on_a_ball_is_held_against_its_own_case_only():
    (joined,) = join_gains([bracket("on a ball")], [found(70, case="b"), found(5)], "net")
    assert (joined.lower, joined.upper) == (5, 50)
    assert "on a at radius 0.05" in joined.lower_source


def test_rounding_is_no_contradiction():
    assert join_gains([bracket("certified")], [found(50.01)], "net")[0].lower == 50.01


def test_other_methods_and_other_constants_do_not_count():
    network = bracket("certified", name="network alone")
    assert join_gains([network, bracket("certified")], [found(70, method="tv")], "net") == [network, bracket("certified")]
    assert join_gains([network], [found(70)], "net") == [network]


def test_without_a_bound_the_gain_is_kept():
    assert join_gains([bracket("unknown", None)], [found(70)], "net")[0].lower == 70


@pytest.mark.parametrize("gain", [math.inf, math.nan])
def test_a_reconstruction_that_is_not_finite_leaves_no_bound(gain):
    """The method has left the arithmetic that bounds assume: its fault, not a contradiction of the tool."""
    (joined,) = join_gains([bracket("certified")], [found(1), found(gain)], "net")
    assert (joined.lower, joined.upper, joined.upper_status) == (math.inf, math.inf, "infinite")
    assert "not finite, on a" in joined.lower_source


def test_a_bound_up_to_a_radius_is_not_held_against_larger_perturbations():
    near = bracket("on a ball").model_copy(update={"radius": 0.02})
    joined = join_gains([near], [found(70, radius=0.05), found(7, radius=0.02)], "net")
    assert joined[0].lower == 7
    with pytest.raises(BoundsError):
        join_gains([near], [found(70, radius=0.02)], "net")
