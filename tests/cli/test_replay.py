"""``stabtest replay``: a witness of one network put into another, and what does not fit refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from stabtest import stability
from stabtest.audit import load_config
from stabtest.audit.cases import make_case
from stabtest.audit.subject import load_subjects
from stabtest.cli.app import app
from stabtest.cli.replay import replay_file
from stabtest.search.witness import witness_of
from stabtest.search.witness_file import load_witness, save_witness
from stabtest.search.worst_case import worst_case

NETWORK = """
import torch
from torch import nn

class Sharp(nn.Module):
    def __init__(self, seed, gain):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.gain = gain
        self.weight = nn.Parameter(torch.randn(2, 2, 5, 5, generator=generator) / 5)

    def forward(self, image):
        return 0.9 * image + self.gain * torch.tanh(nn.functional.conv2d(image, self.weight, padding=2))

def make(seed=0, gain=0.3):
    return Sharp(seed, gain)
"""
CONFIG = """
[audit]
title = "Tiny"
[network]
factory = "net.py:make"
arguments = {{ seed = {seed} }}
channels = "real-imag"
name = "{name}"
[operator]
size = 32
mask = {{ acceleration = 2.0, seed = {mask} }}
[data]
count = {count}
noise = {noise}
[reference]
method = "zero-filled"
[worst_case]
radii = [0.05]
evaluations = 3
noise_draws = 2
domain = "{domain}"
[structure]
enabled = false
[sampling]
enabled = false
[lipschitz]
enabled = false
"""
DEFAULTS = dict(seed=0, name="first", mask=0, count=1, noise=0.02, domain="measurement")


def write(folder, file, **changes):
    (folder / "net.py").write_text(NETWORK)
    (folder / file).write_text(CONFIG.format(**{**DEFAULTS, **changes}))
    return folder / file


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def saved(folder, file, *, keep=False, name="w.npz", index=0, **changes):
    """A witness for the network of a configuration, in a file of its own."""
    config = load_config(write(folder, file, **changes))
    subject, case = load_subjects(config)[0], make_case(config, index)
    worst = worst_case(subject.method.reconstruct, case.operator, case.measurement, radius=0.05, evaluations=3)
    witness = witness_of(
        worst,
        case.operator,
        case.measurement,
        relative_radius=0.05,
        cases=[case.name],
        network=subject.method.name,
        network_sha256=subject.fingerprint,
        keep_measurement=keep,
    )
    save_witness(folder / name, witness)
    return worst


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """An audit's folder and configuration, with a second network beside it; made once."""
    folder = tmp_path_factory.mktemp("audited")
    write(folder, "first.toml")
    write(folder, "second.toml", seed=1, name="second")
    assert call("audit", folder / "first.toml", "--out", folder / "out").exit_code == 0
    return folder


def figures(folder, witness, file, **options):
    config = load_config(folder / file)
    arguments = dict(case=None, device="cpu", anyway=False) | options
    return replay_file(folder / witness, config, load_subjects(config), **arguments)


def witnesses(folder, method="first"):
    return next((folder / "out" / "witnesses").glob(f"*.{method}.*.npz"))


def bare(source, target):
    """The perturbation alone, as earlier versions wrote it."""
    with np.load(source) as archive:
        np.savez(target, perturbation=archive["perturbation"])


def test_a_witness_of_an_audit_does_again_what_the_report_says(audited):
    row = next(
        row
        for row in json.loads((audited / "out" / "report.json").read_text())["worst_case"]["rows"]
        if row["method"] == "first"
    )
    (done,) = figures(audited, witnesses(audited), "first.toml")
    assert done.recorded.relative_change == pytest.approx(row["relative_change"])
    assert done.effects[0].relative_change == pytest.approx(row["relative_change"], rel=1e-5)
    assert done.effects[0].gain == pytest.approx(row["gain"], rel=1e-5)
    assert done.feasible
    assert done.radius_known
    assert done.notes == ("first is the network that it was found for (same weights)",)


def test_a_file_of_an_earlier_version_is_described_by_the_report_beside_it(audited, tmp_path):
    """A bare array without a batch axis, in the folder of its audit."""
    shutil.copytree(audited, tmp_path, dirs_exist_ok=True)
    bare(witnesses(audited), witnesses(tmp_path))
    (done,) = figures(tmp_path, witnesses(tmp_path), "first.toml")
    assert done.effects[0].gain == pytest.approx(done.recorded.gain, rel=1e-5)
    assert done.feasible
    assert done.radius_known


def test_the_command_prints_found_for_this_network_and_its_reference(audited):
    result = call("replay", witnesses(audited), audited / "second.toml")
    assert result.exit_code == 0, result.output
    lines = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    rows = {(cells[1].strip(), cells[2].strip()): [cell.strip() for cell in cells[3:-1]] for cells in lines}
    assert list(rows) == [("first", "found for"), ("second", "under test"), ("zero-filled", "reference")]
    own, other = float(rows["first", "found for"][0]), float(rows["second", "under test"][0])
    config = load_config(audited / "second.toml")
    with np.load(witnesses(audited)) as archive:
        again = stability.replay(archive["perturbation"], load_subjects(config)[0].method, make_case(config, 0))
    assert other == pytest.approx(again["relative_change"], rel=1e-2)  # three figures are printed
    assert rows["second", "under test"][-1] == f"{round(100 * other / own)}%"
    # Noise of the same norm is beside both methods that were run here, and on zero-filling it does what everything does.
    assert float(rows["second", "under test"][2]) < other
    assert float(rows["zero-filled", "reference"][4]) == pytest.approx(1, abs=0.01)
    assert "Feasible" in result.stdout


def test_replay_writes_nothing_and_is_repeatable(audited):
    before = sorted(path for path in audited.rglob("*") if "__pycache__" not in path.parts)
    outputs = [call("replay", witnesses(audited), audited / "second.toml").stdout for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert sorted(path for path in audited.rglob("*") if "__pycache__" not in path.parts) == before


def test_a_bare_perturbation_is_replayed_with_what_is_not_known_said(audited, tmp_path):
    write(tmp_path, "second.toml", seed=1, name="second")
    bare(witnesses(audited), tmp_path / "bare.npz")
    result = call("replay", tmp_path / "bare.npz", tmp_path / "second.toml")
    assert result.exit_code == 0, result.output
    assert "radius is not known" in result.stdout
    assert "found for" not in result.stdout
    assert "is not known" in result.stdout.split("note:")[2]


def test_a_saved_witness_names_the_network_it_was_found_for(tmp_path):
    worst = saved(tmp_path, "first.toml")
    (done,) = figures(tmp_path, "w.npz", "first.toml")
    assert done.effects[0].gain == pytest.approx(worst.gain.item(), rel=1e-5)
    assert any("same weights" in note for note in done.notes)
    write(tmp_path, "second.toml", seed=1, name="second")
    assert figures(tmp_path, "w.npz", "second.toml")[0].notes == ()


def test_a_saved_witness_of_the_image_domain(tmp_path):
    config = load_config(write(tmp_path, "first.toml"))
    subject, case = load_subjects(config)[0], make_case(config, 0)
    worst = worst_case(subject.method.reconstruct, case.operator, case.measurement, radius=0.05, evaluations=4, domain="image")
    save_witness(tmp_path / "w.npz", witness_of(worst, case.operator, case.measurement))
    (done,) = figures(tmp_path, "w.npz", "first.toml")
    assert done.effects[0].gain == pytest.approx(worst.gain.item(), rel=1e-5)
    assert done.feasible


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(mask=1), ["[operator]", "sampling fraction"]),
        (dict(noise=0.05), ["measurement", "--anyway"]),
    ],
)
def test_another_operator_or_measurement_is_status_2(tmp_path, changes, words):
    saved(tmp_path, "first.toml")
    write(tmp_path, "other.toml", **changes)
    result = call("replay", tmp_path / "w.npz", tmp_path / "other.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith("stabtest: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_an_image_of_another_size_is_status_2(tmp_path):
    saved(tmp_path, "first.toml")
    other = write(tmp_path, "other.toml")
    other.write_text(other.read_text().replace("size = 32", "size = 40"))
    result = call("replay", tmp_path / "w.npz", other)
    assert result.exit_code == 2
    assert "(1, 40, 40)" in result.stderr
    assert "(1, 32, 32)" in result.stderr


def test_a_witness_of_an_audit_on_other_noise_is_status_2(audited, tmp_path):
    write(tmp_path, "noisy.toml", noise=0.05)
    result = call("replay", witnesses(audited), tmp_path / "noisy.toml")
    assert result.exit_code == 2
    assert "--anyway" in result.stderr


def test_a_witness_of_an_audit_off_another_mask_is_status_2(audited, tmp_path):
    result = call("replay", witnesses(audited), write(tmp_path, "mask.toml", mask=1), "--anyway")
    assert result.exit_code == 2
    assert "[operator]" in result.stderr


def test_a_witness_of_an_earlier_audit_off_another_mask_is_infeasible(audited, tmp_path):
    """Its report describes the operator in words only; the support of the perturbation tells."""
    shutil.copytree(audited, tmp_path, dirs_exist_ok=True)
    bare(witnesses(audited), witnesses(tmp_path))
    write(tmp_path, "mask.toml", mask=1)
    result = call("replay", witnesses(tmp_path), tmp_path / "mask.toml", "--anyway")
    assert result.exit_code == 0
    assert "INFEASIBLE" in result.stdout
    assert "infeasible" in result.stderr


def test_anyway_goes_on_with_a_warning(tmp_path):
    saved(tmp_path, "first.toml")
    write(tmp_path, "noisy.toml", noise=0.05)
    result = call("replay", tmp_path / "w.npz", tmp_path / "noisy.toml", "--anyway")
    assert result.exit_code == 0
    assert "another measurement" in result.stdout


def test_the_measurement_in_the_file_goes_before_another(tmp_path):
    worst = saved(tmp_path, "first.toml", keep=True)
    write(tmp_path, "noisy.toml", noise=0.05)
    (done,) = figures(tmp_path, "w.npz", "noisy.toml")
    assert done.effects[0].relative_change == pytest.approx(worst.relative_change.item(), rel=1e-5)
    assert any("measurement in the file" in note for note in done.notes)
    (here,) = figures(tmp_path, "w.npz", "noisy.toml", anyway=True)
    assert here.effects[0].relative_change != pytest.approx(worst.relative_change.item(), rel=1e-3)


def test_the_case_is_found_by_its_measurement_or_named(tmp_path):
    worst = saved(tmp_path, "first.toml", count=3, index=2)
    unnamed = replace(load_witness(tmp_path / "w.npz"), cases=())
    save_witness(tmp_path / "unnamed.npz", unnamed)
    for file in ("w.npz", "unnamed.npz"):
        (done,) = figures(tmp_path, file, "first.toml")
        assert "head 1000002" in done.title
        assert done.effects[0].gain == pytest.approx(worst.gain.item(), rel=1e-5)
    (named,) = figures(tmp_path, "w.npz", "first.toml", case="head 1000001", anyway=True)
    assert "head 1000001" in named.title
    save_witness(tmp_path / "lost.npz", replace(unnamed, measurement_sha256=()))
    result = call("replay", tmp_path / "lost.npz", tmp_path / "first.toml")
    assert result.exit_code == 2
    assert "--case" in result.stderr
    result = call("replay", tmp_path / "w.npz", tmp_path / "first.toml", "--case", "head 7")
    assert result.exit_code == 2
    assert "head 1000001" in result.stderr


def test_every_image_of_a_file_is_replayed(tmp_path):
    config = load_config(write(tmp_path, "first.toml", count=2))
    subject, cases = load_subjects(config)[0], [make_case(config, index) for index in range(2)]
    y = torch.cat([case.measurement for case in cases])
    worst = worst_case(subject.method.reconstruct, cases[0].operator, y, radius=0.05, evaluations=4)
    names = [case.name for case in cases]
    save_witness(tmp_path / "w.npz", witness_of(worst, cases[0].operator, y, cases=names))
    done = figures(tmp_path, "w.npz", "first.toml")
    assert [each.effects[0].gain for each in done] == pytest.approx(worst.gain.tolist(), rel=1e-4)
    (second,) = figures(tmp_path, "w.npz", "first.toml", case=names[1])
    assert "image 2 of 2" in second.title
    assert call("replay", tmp_path / "w.npz", tmp_path / "first.toml", "--case", "head 7").exit_code == 2


def test_an_infeasible_witness_is_said_so(tmp_path):
    saved(tmp_path, "first.toml")
    witness = load_witness(tmp_path / "w.npz")
    save_witness(tmp_path / "w.npz", replace(witness, perturbation=2 * witness.perturbation))
    result = call("replay", tmp_path / "w.npz", tmp_path / "first.toml")
    assert result.exit_code == 0
    assert "INFEASIBLE: violation 1 " in result.stdout
    assert "infeasible" in result.stderr


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", None])
def test_a_file_that_is_no_witness_is_status_2(tmp_path, content):
    write(tmp_path, "first.toml")
    if content is not None:
        (tmp_path / "w.npz").write_bytes(content)
    result = call("replay", tmp_path / "w.npz", tmp_path / "first.toml")
    assert result.exit_code == 2
    assert "w.npz" in result.stderr


def test_zeros_and_unknown_devices_are_status_2(tmp_path):
    write(tmp_path, "first.toml")
    np.savez(tmp_path / "w.npz", perturbation=np.zeros((1, 32, 32), np.complex64))
    result = call("replay", tmp_path / "w.npz", tmp_path / "first.toml")
    assert result.exit_code == 2
    assert "zero" in result.stderr
    assert call("replay", tmp_path / "w.npz", tmp_path / "first.toml", "--device", "quantum").exit_code == 2
