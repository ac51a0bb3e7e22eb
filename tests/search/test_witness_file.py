"""Files of witnesses: everything comes back, nothing runs, what was altered is noticed."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stabtest.errors import DataError
from stabtest.search.replay import replay
from stabtest.search.witness import Witness, witness_of
from stabtest.search.witness_file import load_witness, save_witness
from stabtest.search.worst_case import worst_case


@pytest.fixture
def witness(lab, fourier, measurement):
    worst = worst_case(lab.SmallCNN(), fourier, measurement, radius=0.05, evaluations=3)
    return witness_of(
        worst,
        fourier,
        measurement,
        relative_radius=0.05,
        seed=3,
        budget={"steps": 2},
        cases=["a", "b"],
        network="small",
        network_sha256="c" * 64,
        keep_measurement=True,
    )


def same(a, b):
    for field in fields(Witness):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, torch.Tensor):
            assert torch.equal(left.to(right.dtype), right), field.name
        else:
            assert left == right, field.name


@pytest.mark.parametrize("images", [1, 2])
def test_everything_comes_back(tmp_path, witness, images):
    witness = witness if images == 2 else witness.image(0)
    save_witness(tmp_path / "w.npz", witness)
    same(witness, load_witness(tmp_path / "w.npz"))


def test_the_damage_comes_back(tmp_path, lab, fourier, witness):
    save_witness(tmp_path / "w.npz", witness)
    again = replay(load_witness(tmp_path / "w.npz"), lab.SmallCNN(), fourier)
    torch.testing.assert_close(again.gain, witness.gain, rtol=1e-5, atol=0)
    assert again.feasible == [True, True]


def test_the_same_witness_gives_the_same_bytes(tmp_path, witness):
    save_witness(tmp_path / "a.npz", witness)
    save_witness(tmp_path / "b.npz", witness)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_numpy_alone_can_read_it(tmp_path, witness):
    save_witness(tmp_path / "w.npz", witness.image(0))
    with np.load(tmp_path / "w.npz", allow_pickle=False) as archive:
        assert archive["perturbation"].shape == (1, 8, 8)
        assert json.loads(str(archive["metadata"]))["network"] == "small"


def test_a_file_of_an_audit_is_read(tmp_path):
    """As `stabtest.audit.document.witnesses` writes it: one array without a batch axis."""
    np.savez_compressed(tmp_path / "w.npz", perturbation=np.ones((1, 4, 4), dtype=np.complex64))
    witness = load_witness(tmp_path / "w.npz")
    assert witness.perturbation.shape == (1, 1, 4, 4)
    assert witness.domain is None
    assert witness.radius is None


def test_an_infinite_gain_comes_back_and_the_metadata_is_strict_json(tmp_path, witness):
    save_witness(tmp_path / "w.npz", replace(witness, gain=torch.tensor([torch.inf, 1.0])))
    assert load_witness(tmp_path / "w.npz").gain.tolist() == [torch.inf, 1.0]
    with np.load(tmp_path / "w.npz") as archive:
        json.loads(str(archive["metadata"]), parse_constant=lambda word: pytest.fail(word))


def rewrite(path, *, metadata=None, **arrays):
    with np.load(path) as archive:
        held = {name: archive[name] for name in archive.files}
    if metadata is not None:
        held["metadata"] = np.array(json.dumps({**json.loads(str(held["metadata"])), **metadata}))
    np.savez(path, **{**held, **arrays})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (dict(perturbation=np.zeros((2, 1, 8, 8), np.complex64)), "SHA-256"),
        (dict(measurement=np.zeros((2, 1, 8, 8), np.complex64)), "SHA-256"),
        (dict(perturbation=np.full((2, 1, 8, 8), np.nan)), "finite"),
        (dict(perturbation=np.array(["a"])), "finite"),
        (dict(region=np.ones(3)), "true and false"),
        (dict(region=np.ones((3, 3), bool)), "metadata"),
        (dict(metadata=np.array("no json")), "metadata"),
        (dict(metadata=np.array("[1]")), "metadata"),
    ],
)
def test_an_altered_file_is_noticed(tmp_path, witness, change, word):
    save_witness(tmp_path / "w.npz", witness)
    arrays = {name: values for name, values in change.items() if name != "metadata"}
    rewrite(tmp_path / "w.npz", **arrays, **({"metadata": None} if "metadata" not in change else {}))
    if "metadata" in change:
        with np.load(tmp_path / "w.npz") as archive:
            held = {name: archive[name] for name in archive.files}
        np.savez(tmp_path / "w.npz", **{**held, **change})
    with pytest.raises(DataError, match=word):
        load_witness(tmp_path / "w.npz")


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "another"},
        {"format_version": "1"},
        {"images": 3},
        {"images": 1},
        {"domain": "k-space"},
        {"norm": "l7"},
        {"radius": [1.0]},
        {"radius": [1.0, -1.0]},
        {"gain": ["much", 1.0]},
        {"cases": ["a"]},
        {"budget": 3},
        {"operator_probe": None},
    ],
)
def test_wrong_metadata_are_one_message(tmp_path, witness, metadata):
    save_witness(tmp_path / "w.npz", witness)
    rewrite(tmp_path / "w.npz", metadata=metadata)
    with pytest.raises(DataError, match=r"w\.npz: metadata"):
        load_witness(tmp_path / "w.npz")


def test_a_newer_format_says_what_to_do(tmp_path, witness):
    save_witness(tmp_path / "w.npz", witness)
    rewrite(tmp_path / "w.npz", metadata={"format_version": 2, "stabtest": "9.1"})
    with pytest.raises(DataError, match=r"stabtest 9\.1 or later"):
        load_witness(tmp_path / "w.npz")


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


def test_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "w.npz", perturbation=np.array([Harmful()], dtype=object))
    with pytest.raises(DataError, match="plain arrays"):
        load_witness(tmp_path / "w.npz")
    assert not (tmp_path / "harmed").exists()


def test_files_that_are_no_witness(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "other.npz", image=np.ones(3))
    (tmp_path / "text.npz").write_text("a text")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("array.npy", "other.npz", "text.npz", "empty.npz", "missing.npz"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            load_witness(tmp_path / name)


def test_a_place_that_cannot_be_written(tmp_path, witness):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="written"):
        save_witness(tmp_path / "file" / "w.npz", witness)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_is_one_message_or_the_same_witness(tmp_path, witness, place, change, cut):
    """One byte is changed, or the file is cut off there; never another exception, never another perturbation."""
    path = tmp_path / "w.npz"
    save_witness(path, witness)
    content = bytearray(path.read_bytes())
    where = min(int(place * len(content)), len(content) - 1)
    content[where] ^= change
    path.write_bytes(bytes(content[:where] if cut else content))
    try:
        loaded = load_witness(path)
    except DataError:
        return
    assert torch.equal(loaded.perturbation, witness.perturbation)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    images=st.integers(1, 3),
    is_complex=st.booleans(),
    name=st.text(max_size=8),
    seed=st.integers(0, 2**31),
)
def test_any_shape_and_any_name_come_back(tmp_path, shape, images, is_complex, name, seed):
    dtype = torch.complex64 if is_complex else torch.float32
    v = torch.randn((images, *shape), dtype=dtype, generator=torch.Generator().manual_seed(seed))
    witness = Witness(v, domain="image", network=name, cases=(name,) * images, radius=torch.full((images,), 2.0))
    save_witness(tmp_path / "w.npz", witness)
    same(witness, load_witness(tmp_path / "w.npz"))
