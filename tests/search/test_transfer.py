"""The matrix network x network, against linear networks with known answers and two small U-Nets."""

import numpy as np
import pandas as pd
import pytest
import torch

from reconstructors.unet import UNet
from stabtest import networks, tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity
from stabtest.search.transfer import transfer_matrix

A, Y = Identity((1, 16)), torch.ones(2, 1, 1, 16)
R = 0.1


def gain(diagonal):
    diagonal = torch.as_tensor(diagonal, dtype=torch.float32)
    return lambda y, A: diagonal * y


def one_large(place, size=16, large=3.0):
    diagonal = np.ones(size)
    diagonal[place] = large
    return diagonal


def test_linear_networks_against_their_matrices():
    """``T_ij = R ||D_j v_i|| / ||D_j y||`` with the top singular vector ``v_i`` of ``D_i``."""
    diagonals = {"a": one_large(2), "b": one_large(5, large=4.0), "c": np.ones(16) + np.eye(16)[2]}
    matrix = transfer_matrix({name: gain(d) for name, d in diagonals.items()}, A, Y, radius=R, unit="absolute")
    for i, found_for in enumerate(diagonals.values()):
        v = np.eye(16)[found_for.argmax()]
        for j, applied_to in enumerate(diagonals.values()):
            expected = R * np.linalg.norm(applied_to * v) / np.linalg.norm(applied_to)
            np.testing.assert_allclose(matrix.relative_change[i, j].numpy(), expected, rtol=1e-3)
    np.testing.assert_allclose(matrix.share[0, 1].numpy(), 1 / 4, rtol=1e-3)
    np.testing.assert_allclose(matrix.share[0, 2].numpy(), 1, rtol=1e-3)
    assert matrix.not_converged == ()


def test_noise_is_that_of_the_same_norm():
    """In 256 dimensions noise does ``R sqrt(mean d^2) / ||d y||`` within a few percent."""
    B, y = Identity((1, 256)), torch.ones(1, 1, 1, 256)
    d = np.linspace(1, 2, 256)
    matrix = transfer_matrix({"a": gain(d)}, B, y, radius=R, unit="absolute", evaluations=4, draws=64)
    expected = R * np.sqrt((d**2).mean()) / np.linalg.norm(d)
    assert matrix.noise.shape == (64, 1, 1)
    assert matrix.noise.mean().item() == pytest.approx(expected, rel=0.02)
    assert matrix.over_noise.item() == pytest.approx(matrix.own.item() / np.median(matrix.noise.numpy()), rel=0.02)


def slow_and_fast():
    """The same top direction in 400 dimensions: one stands out at once, the other hardly."""
    return {"fast": gain(one_large(7, 400, large=50.0)), "slow": gain(one_large(7, 400, large=1.3))}


SMALL = dict(radius=R, unit="absolute", evaluations=3)
WIDE = Identity((1, 400)), torch.ones(2, 1, 1, 400)


def test_a_transferred_witness_that_beats_the_own_search_is_said_so():
    matrix = transfer_matrix(slow_and_fast(), *WIDE, **SMALL)
    assert (matrix.share[0, 1] > 1.01).all()
    assert matrix.beaten.tolist() == [[False, False], [True, True]]
    assert matrix.not_converged == ("slow",)
    assert matrix.status["slow"] == ["still rising", "still rising"]
    assert not matrix.improved.any()


def test_feedback_gives_the_target_the_better_witness_and_says_that_it_had_not_converged():
    before, after = (transfer_matrix(slow_and_fast(), *WIDE, **SMALL, feedback=feedback) for feedback in (False, True))
    assert after.improved.tolist() == [[False, False], [True, True]]
    assert after.not_converged == ("slow",)
    assert after.status["slow"] == ["still rising", "still rising"]
    assert not after.beaten.any()
    assert (after.own[1] >= before.relative_change[0, 1] * (1 - 1e-5)).all()
    exact = 1.3 / np.sqrt(399 + 1.3**2) * R
    np.testing.assert_allclose(after.own[1].numpy(), exact, rtol=1e-2)
    assert (after.witnesses["slow"].violation <= 1e-6).all()
    assert after.witnesses["slow"].evaluations > before.witnesses["slow"].evaluations


def test_feedback_leaves_converged_searches_alone():
    """Control: where the own search found the optimum, nothing is improved and nobody is accused."""
    methods = {"a": gain(one_large(2)), "b": gain(one_large(5))}
    matrix = transfer_matrix(methods, A, Y, radius=R, unit="absolute", feedback=True)
    assert not matrix.improved.any()
    assert matrix.not_converged == ()


def test_feedback_is_for_each_image_from_its_best_source():
    """Each of two sources knows the weak spot of the target on one image only."""

    def source(place):
        return gain(one_large(place, 400, large=50.0))

    def target(y, A):
        """Image 0 is weak at 7, image 1 at 9, both hardly."""
        d = torch.from_numpy(np.stack([one_large(7, 400, large=1.2), one_large(9, 400, large=1.2)])).to(y.dtype)
        return (d.reshape(2, 1, 1, 400) * y)[: len(y)]

    methods = {"seven": source(7), "nine": source(9), "target": target}
    plain, fed = (transfer_matrix(methods, *WIDE, **SMALL, feedback=feedback) for feedback in (False, True))
    assert (plain.relative_change[:2, 2].argmax(0) == torch.tensor([0, 1])).all()
    assert (fed.own[2] >= plain.relative_change[:2, 2].amax(0) * (1 - 1e-5)).all()
    assert fed.improved[2].all()


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_two_unets(lab, domain):
    B = Fourier(lab.some_mask(32))
    y = B.forward(B.domain.randn(2, generator=lab.seeded(3)))
    methods = {"direct": lambda y, A: A.pseudo_inverse(y)}
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = UNet(channels=2, width=4, depth=2, norm=None).eval()
        for weight in network.parameters():
            weight.data *= 1.7
        methods[f"unet {seed}"] = networks.wrap(network, takes="pseudo_inverse", channels="real-imag")
    matrix = transfer_matrix(methods, B, y, radius=0.05, domain=domain, evaluations=40, feedback=True)
    assert matrix.relative_change.shape == (3, 3, 2)
    # From scratch: witness, network, norm.
    e = matrix.witnesses["unet 0"].perturbation
    with torch.no_grad():
        clean, moved = (methods["unet 1"](each, B).numpy().reshape(2, -1) for each in (y, y + e))
    expected = np.linalg.norm(moved - clean, axis=1) / np.linalg.norm(clean, axis=1)
    np.testing.assert_allclose(matrix.relative_change[1, 2].numpy(), expected, rtol=1e-4)
    assert (matrix.own > matrix.noise.amax(0))[1:].all()
    assert not matrix.beaten.any()
    # Zero-filling is an isometry on what is measured: everything of a norm does the same there.
    if domain == "measurement":
        np.testing.assert_allclose(matrix.share[:, 0].numpy(), 1, rtol=1e-4)


def test_the_order_of_the_methods_does_not_matter(lab, fourier, measurement):
    methods = {"a": lab.SmallCNN(0), "b": lab.SmallCNN(1)}
    common = dict(radius=0.1, evaluations=6)
    there = transfer_matrix(methods, fourier, measurement, **common)
    back = transfer_matrix(dict(reversed(methods.items())), fourier, measurement, **common)
    assert torch.equal(there.relative_change, back.relative_change.flip(0).flip(1))
    assert torch.equal(there.noise, back.noise.flip(1))


def test_an_image_that_breaks_is_infinite_and_the_share_stays_a_number():
    def cliff(y, A):
        return y + 0 * torch.log(y[..., :1] - 0.97)

    matrix = transfer_matrix({"cliff": cliff, "pixel": gain(one_large(0))}, A, Y, radius=R, unit="absolute", evaluations=12)
    assert torch.isinf(matrix.own[0]).all()
    assert (matrix.share[0, 0] == 1).all()
    assert not torch.isnan(matrix.share).any()
    assert not np.isnan(matrix.frame("share").to_numpy()).any()


def test_tables(lab, fourier, measurement):
    matrix = transfer_matrix({"a": lab.SmallCNN(0), "b": lab.SmallCNN(1)}, fourier, measurement, radius=0.1, evaluations=4)
    for view in ("relative change", "share", "over noise"):
        table = matrix.frame(view)
        assert list(table.index) == list(table.columns) == ["a", "b"]
    np.testing.assert_allclose(np.diag(matrix.frame("share")), 1)
    assert matrix.frame().loc["a", "b"] == pytest.approx(matrix.relative_change[0, 1].median().item())
    rows = matrix.rows()
    assert isinstance(rows, pd.DataFrame)
    assert len(rows) == 8
    picked = rows[(rows["found for"] == "a") & (rows["applied to"] == "b") & (rows["image"] == 1)].iloc[0]
    assert picked["relative change"] == pytest.approx(matrix.relative_change[0, 1, 1].item())
    assert picked["share"] == pytest.approx(picked["relative change"] / picked["own worst case"])
    with pytest.raises(SearchError, match="view"):
        matrix.frame("difference")


def test_witnesses_are_feasible_and_of_the_radius_asked(lab, fourier, measurement):
    matrix = transfer_matrix({"a": lab.SmallCNN(0), "b": lab.SmallCNN(1)}, fourier, measurement, radius=0.1, evaluations=4)
    for worst in matrix.witnesses.values():
        assert (worst.violation <= 1e-6).all()
        torch.testing.assert_close(tensors.norm(worst.perturbation), 0.1 * tensors.norm(measurement), rtol=1e-4, atol=0)


def test_progress_names_the_method(lab, fourier, measurement):
    heard = []
    transfer_matrix(
        {"a": lab.SmallCNN(0), "b": lab.SmallCNN(1)},
        fourier,
        measurement,
        radius=0.1,
        evaluations=4,
        progress=lambda *now: heard.append(now),
    )
    assert {name for name, _, _ in heard} == {"a", "b"}
    assert all(done <= planned for _, done, planned in heard)


@pytest.mark.parametrize("arguments", [dict(objective="truth"), dict(start=Y), dict(radius=-1.0), dict(generator=None)])
def test_wrong_set_up_is_refused(arguments):
    with pytest.raises(SearchError):
        transfer_matrix({"a": gain(np.ones(16))}, A, Y, **{"radius": 0.1, "evaluations": 1, **arguments})


def test_no_method_is_refused():
    with pytest.raises(SearchError, match="at least one"):
        transfer_matrix({}, A, Y, radius=0.1)
