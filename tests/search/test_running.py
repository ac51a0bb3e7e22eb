"""Whatever searches takes the words of how it is run, and finds the same with them."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import SearchError
from stabtest.search.admissible import SetOptions
from stabtest.search.curve import worst_case_curve
from stabtest.search.gaussian import gaussian_baseline
from stabtest.search.running import RunOptions, SearchOptions, divided
from stabtest.search.transfer import transfer_matrix
from stabtest.search.universal import universal
from stabtest.search.worst_case import worst_case

RUNS = [{"chunk": 1}, {"chunk": 2}, {"parallel": 2}, {"parallel": 3, "chunk": 2}]


class Watched:
    """A network in float64 that remembers how many images it was given at once, and in what precision it answered."""

    def __init__(self, lab, dtype=torch.float64, seed=1):
        self.network, self.batches, self.answers = lab.SmallCNN(seed, dtype), [], []
        self.network.layers.register_forward_hook(lambda module, given, out: self.answers.append(out.dtype))

    def __call__(self, y, operator):
        self.batches.append(len(y))
        return self.network(y, operator)


@pytest.fixture
def scan(lab, fourier):
    return fourier, fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5), dtype=torch.float64))


def curve(f, A, y, **run):
    found = worst_case_curve(f, A, y, radii=[0.05, 0.1], evaluations=12, restarts=2, check=False, **run)
    return torch.stack([case.objective for case in found])


def noise(f, A, y, **run):
    return gaussian_baseline(f, A, y, radius=0.1, draws=5, **run)


def transfer(f, A, y, **run):
    other = lambda y, A: A.pseudo_inverse(y)  # noqa: E731
    matrix = transfer_matrix(
        {"f": f, "linear": other}, A, y, radius=0.1, evaluations=12, restarts=2, draws=3, feedback=True, **run
    )
    return torch.cat([matrix.relative_change.flatten(), matrix.noise.flatten()])


ALL = {"curve": curve, "noise": noise, "transfer": transfer}


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("what", ALL)
def test_the_same_is_found_however_it_is_run(lab, scan, what, run):
    plain, watched = Watched(lab), Watched(lab)
    expected, found = ALL[what](plain, *scan), ALL[what](watched, *scan, **run)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)
    assert watched.batches != plain.batches  # control: it was run another way
    if "chunk" in run:
        # The look at the gradient puts the batch among as many strangers once, whatever the chunk: 6 images.
        assert max(batch for batch in watched.batches if batch != 6) <= run["chunk"]
    else:
        assert max(watched.batches) == 3 * run["parallel"]


@pytest.mark.parametrize("what", ["curve", "transfer"])
def test_bfloat16_is_searched_in_and_never_scored_in(lab, fourier, measurement, what):
    """Every figure is that of the float32 network at the witness; what is found is nearly what float32 finds."""
    fine, coarse = Watched(lab, torch.float32), Watched(lab, torch.float32)
    expected = ALL[what](fine, fourier, measurement)
    found = ALL[what](coarse, fourier, measurement, precision="bfloat16")
    assert torch.bfloat16 in coarse.answers
    assert torch.bfloat16 not in fine.answers
    assert coarse.answers[-1] == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


def test_witnesses_of_a_curve_in_bfloat16_have_their_damage_in_float32(lab, fourier, measurement):
    network = lab.SmallCNN(1)
    settings = {"radii": [0.05, 0.1], "evaluations": 12, "precision": "bfloat16"}
    for case in worst_case_curve(network, fourier, measurement, **settings):
        change = network(measurement + case.perturbation, fourier) - network(measurement, fourier)
        torch.testing.assert_close(case.objective, change.flatten(1).norm(dim=1), rtol=1e-6, atol=0)


def test_noise_is_scored_in_float32_whatever_is_asked(lab, fourier, measurement):
    plain, asked = Watched(lab, torch.float32), Watched(lab, torch.float32)
    expected, found = noise(plain, fourier, measurement), noise(asked, fourier, measurement, precision="bfloat16")
    assert torch.equal(found, expected)
    assert torch.bfloat16 not in asked.answers


def test_a_universal_perturbation_is_searched_in_bfloat16_and_scored_in_float32(lab, fourier, measurement):
    watched = Watched(lab, torch.float32)
    found = universal(watched, fourier, measurement, radius=0.1, steps=8, precision="bfloat16", draws=2)
    assert torch.bfloat16 in watched.answers
    clean = watched.network(measurement, fourier)
    change = (watched.network(measurement + found.perturbation, fourier) - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(found.relative_change, change / clean.flatten(1).norm(dim=1), rtol=1e-6, atol=0)
    exact = universal(lab.SmallCNN(1), fourier, measurement, radius=0.1, steps=8, draws=2)
    assert found.value == pytest.approx(exact.value, rel=0.02)


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("run", [{"chunk": 0}, {"parallel": 0}, {"precision": "float16"}, {"chunks": 2}], ids=str)
def test_what_is_no_way_to_run_is_refused(lab, scan, what, run):
    with pytest.raises(SearchError):
        ALL[what](Watched(lab), *scan, **run)


def test_words_of_the_run_are_those_of_the_search():
    """One description for all: `worst_case` takes each of them."""
    import inspect

    assert RunOptions.__optional_keys__ <= set(inspect.signature(worst_case).parameters)
    assert SearchOptions.__optional_keys__ == SetOptions.__optional_keys__ | RunOptions.__optional_keys__


def test_a_misspelt_word_stays_with_the_set_which_refuses_it():
    about, run = divided({"norm": "l2", "chunk": 2, "chunks": 3})
    assert about == {"norm": "l2", "chunks": 3}
    assert run == {"chunk": 2}
