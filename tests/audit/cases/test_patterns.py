import pytest
import torch

from stabtest.audit.cases.patterns import LIMITED, other_mask
from stabtest.audit.cases.simulate import simulate
from stabtest.audit.config.file import parse_config
from stabtest.errors import ConfigError
from stabtest.operators import cartesian_random, radial, sampling_fraction
from stabtest.stability import SamplingTest
from stabtest.stability.cases import Method

MRI = 'network.zoo = "zero-filled"\noperator = { size = 32, mask = { seed = 1 } }\ndata = { noise = 0.01, count = 1 }\n'
COILS = MRI.replace("size = 32", 'kind = "multicoil", size = 32')
CT = 'network.zoo = "fbp"\noperator = { kind = "radon", size = 32, angles = 30 }\ndata = { phantom = "ellipses", noise = 0.01, count = 1 }\n'
KINDS = ("cartesian_random", "cartesian_equispaced", "cartesian_gaussian", "variable_density", "poisson_disc")
DIRECT = Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y))


@pytest.mark.parametrize("kind", KINDS)
def test_masks_have_as_many_samples_as_the_trained_one(kind):
    trained = cartesian_random((48, 48), acceleration=3.7, seed=2)
    assert int(other_mask(kind, trained, seed=0).sum()) == int(trained.sum())


def test_spokes_are_the_fewest_that_reach_the_fraction():
    trained = cartesian_random((48, 48), acceleration=4, seed=2)
    mask = other_mask("radial", trained, seed=0)
    assert 0 <= sampling_fraction(mask) - sampling_fraction(trained) < 48 / 48**2


def test_columns_come_nearest_to_a_fraction_that_is_no_number_of_columns():
    trained = radial((48, 48), acceleration=4, seed=2)
    assert (
        abs(sampling_fraction(other_mask("cartesian_random", trained, seed=0)) - sampling_fraction(trained)) <= 0.5 / 48 + 1e-9
    )


@pytest.mark.parametrize("text", [MRI, COILS])
def test_the_k_space_is_the_same_with_its_noise(text):
    case = simulate(parse_config(text), 0)
    again = case.repattern("variable_density")
    common = (case.measurement != 0) & (again.measurement != 0)
    assert int(common.sum()) > 20
    assert torch.equal(case.measurement[common], again.measurement[common])
    assert int((again.measurement[0, 0] != 0).sum()) == again.count


def test_angles_are_as_many_and_lie_where_they_are_said_to():
    case = simulate(parse_config(CT), 0)
    limited, drawn = (case.repattern(kind) for kind in ("limited_angle", "random_angles"))
    assert limited.count == drawn.count == 30
    assert max(limited.operator.angles) < LIMITED
    assert 150 < max(drawn.operator.angles) < 180
    noise = drawn.measurement - drawn.operator.forward(case.truth)
    assert float(noise.std()) == pytest.approx(case.noise_std, rel=0.6)  # the object's finer grid adds a little


def test_a_limited_angle_is_poorer_and_the_trained_row_is_that_of_the_sweep():
    case = simulate(parse_config(CT), 0)
    rows = SamplingTest(levels=(15, 30), patterns=("limited_angle",)).measure(DIRECT, case).rows
    sweep = next(row for row in rows[:2] if row.trained)
    own, limited = rows[2:]
    assert (own.pattern, own.nrmse, own.change, own.count) == ("trained", sweep.nrmse, 0.0, 30)
    assert limited.change == limited.nrmse - own.nrmse > 0.05


def test_a_network_that_knows_one_mask_only_is_found_out():
    """Right under the trained mask, and wrong wherever other samples come in."""
    case = simulate(parse_config(MRI), 0)
    mask = case.operator.mask

    def fixed(y, A):
        return torch.where((A.mask == mask).all(), case.truth, A.pseudo_inverse(y))

    rows = SamplingTest(levels=(0.25, 0.5), patterns=KINDS[:1]).measure(Method("net", "under test", fixed), case).rows
    assert rows[-2].nrmse < 1e-6 < 0.05 < rows[-1].change


def test_what_there_is_not_is_refused():
    for text, kind in ((MRI, "limited_angle"), (CT, "radial")):
        with pytest.raises(ConfigError, match="patterns"):
            simulate(parse_config(text), 0).repattern(kind)
