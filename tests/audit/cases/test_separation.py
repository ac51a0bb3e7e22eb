"""Whether the network is tried on what it was trained on."""

from __future__ import annotations

import hashlib

import pytest

from stabtest.audit.cases.groups import groups_of
from stabtest.audit.cases.separation import GATE, separation, separation_gate
from stabtest.audit.config.file import load_config, parse_config
from stabtest.errors import ConfigError, DataError
from stabtest.findings.document import Separation, SeparationCheck


@pytest.fixture
def files(tmp_path):
    """Two files of the audit and two of the training; the second of each are the same bytes under other names."""
    for name, content in {"a.npy": b"one", "b.npy": b"two", "old/c.npy": b"three", "old/d.npy": b"two"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def config(training, data=""):
        file = tmp_path / "stabtest.toml"
        file.write_text(
            f'network.zoo = "tv"\n[data]\nkind = "images"\nfiles = ["a.npy", "b.npy"]\n{data}\n[training]\n{training}\n'
        )
        return load_config(file)

    return config


def test_nothing_said_of_the_training_is_nothing_compared(files):
    found = separation(files(""))
    assert found.checks == []
    assert separation_gate(found, "net") is None


def test_copies_are_found_under_other_names(files):
    (check,) = separation(files('files = ["old"]')).checks
    assert (check.audited, check.training, check.shared) == (2, 2, ["b.npy"])


def test_a_list_of_digests_stands_for_files_that_are_elsewhere(files, tmp_path):
    lines = [f"{hashlib.sha256(content).hexdigest().upper()}  {name}" for content, name in ((b"two", "x"), (b"nine", "y"))]
    (tmp_path / "training.sha256").write_text("# of the training\n" + "\n".join(lines) + "\n")
    (check,) = separation(files('digests = "training.sha256"')).checks
    assert (check.training, check.shared) == (2, ["b.npy"])


@pytest.mark.parametrize("content", ["", "no digest at all\n", "abc  file\n"])
def test_a_list_that_holds_no_digests_is_refused(files, tmp_path, content):
    (tmp_path / "training.sha256").write_text(content)
    with pytest.raises(ConfigError, match="SHA-256"):
        separation(files('digests = "training.sha256"'))


def test_a_file_of_the_training_that_is_not_there_is_named(files):
    with pytest.raises(DataError, match=r"gone\.npy"):
        separation(files('files = ["gone.npy"]'))


def test_patients_are_compared_by_name(files):
    (check,) = separation(files('patients = ["B", "C"]', 'patients = ["A", "B"]')).checks
    assert (check.what, check.shared) == ("patients, by name", ["B"])


def test_what_cannot_be_compared_says_so_and_makes_no_gate(files):
    for found in (
        separation(files('patients = ["B"]')),
        separation(parse_config('network.zoo = "tv"\ntraining.patients = ["B"]')),
    ):
        (check,) = found.checks
        assert (check.audited, check.shared) == (0, [])
        assert "not compared" in check.what
        assert separation_gate(found, "net") is None


@pytest.mark.parametrize(
    ("first", "count", "shared"), [(99, 1, 0), (99, 2, 1), (100, 3, 3), (109, 5, 2), (111, 4, 0), (90, 40, 11)]
)
def test_seeds_of_phantoms_overlap_as_intervals_do(first, count, shared):
    text = f'network.zoo = "tv"\ndata = {{ first_seed = {first}, count = {count} }}\ntraining.seeds = [100, 110]'
    (check,) = separation(parse_config(text)).checks
    assert len(check.shared) == shared
    assert check.training == 11


def test_the_zoo_brings_its_seeds():
    def shared(first):
        return (
            separation(parse_config(f'network.zoo = "unet-mri"\ndata = {{ first_seed = {first}, count = 3 }}')).checks[0].shared
        )

    assert shared(1_000_000) == []
    assert shared(10_000_000) == ["seed 10000000", "seed 10000001", "seed 10000002"]


def test_phantoms_of_another_family_are_other_objects():
    text = 'network.zoo = "unet-mri"\ndata = { first_seed = 10000000, phantom = "chest" }'
    (check,) = separation(parse_config(text)).checks
    assert check.shared == []
    assert "trained on head phantoms, tried on chest" in check.what


def test_a_shared_case_fails_the_gate_of_the_network():
    def gate(shared):
        return separation_gate(Separation(checks=[SeparationCheck(what="files", audited=2, training=9, shared=shared)]), "net")

    clean, leaked = gate([]), gate(["b.npy"])
    assert clean.passed
    assert (leaked.name, leaked.subject, leaked.passed, leaked.value, leaked.limit) == (GATE, "net", False, 1.0, 0.0)


@pytest.mark.parametrize("seeds", ["[5]", "[5, 4]", "[1, 2, 3]"])
def test_seeds_are_a_first_and_a_last(seeds):
    with pytest.raises(ConfigError, match="seeds"):
        parse_config(f'network.zoo = "tv"\ntraining.seeds = {seeds}')


def test_groups_follow_their_files(files):
    assert list(groups_of(files("", 'groups = ["old", "young"]')).values()) == ["old", "young"]


def test_as_many_groups_as_files(files):
    with pytest.raises(ConfigError, match="groups"):
        files("", 'groups = ["old"]')


def test_as_many_groups_as_phantoms():
    with pytest.raises(ConfigError, match="phantoms"):
        parse_config('network.zoo = "tv"\ndata = { count = 3, groups = ["old", "young"] }')
