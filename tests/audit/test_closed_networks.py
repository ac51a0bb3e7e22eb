"""Networks that nobody can open: a file with its code, and a program, audited like any other."""

import hashlib
import sys

import pytest
import torch
from torch import nn

from stabtest.audit import load_config, make_plan, run
from stabtest.audit.config.file import parse_config
from stabtest.audit.subject import load_subjects
from stabtest.errors import ConfigError, NetworkError

REST = """
[operator]
size = 32
mask = { acceleration = 2.0, seed = 1 }
[data]
count = 1
noise = 0.01
[reference]
method = "none"
[worst_case]
radii = [0.02]
evaluations = 12
noise_draws = 1
[structure]
sites = 1
diameters = [6.0]
[sampling]
enabled = false
[noise]
enabled = false
[image_quality]
enabled = false
[lipschitz]
enabled = false
"""
RECON = "import sys, numpy as n; n.save(sys.argv[2], {} * n.load(sys.argv[1]))"


@pytest.fixture
def exported(tmp_path):
    torch.manual_seed(0)
    network = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    with torch.no_grad():
        network.weight.mul_(0.05)
        network.weight[[0, 1], [0, 1], 1, 1] += 1
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(1, 2, 32, 32),)), tmp_path / "net.pt2")
    return tmp_path


def configured(folder, network):
    (folder / "audit.toml").write_text(f"[network]\n{network}\n{REST}")
    return load_config(folder / "audit.toml")


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_a_file_with_its_code_is_audited_with_gradients(exported):
    config = configured(exported, 'file = "net.pt2"\ntrusted = true\nchannels = "real-imag"')
    document = run(make_plan(config), exported / "out").document
    item = document.items[0]
    assert item.name == "net"
    assert item.settings["trusted"] is True
    assert item.weights_sha256 == hashlib.sha256((exported / "net.pt2").read_bytes()).hexdigest()
    (row,) = (row for row in document.worst_case.rows if row.method == "net")
    assert row.queries == 0
    assert row.gain > 0
    assert not document.failures


@pytest.mark.filterwarnings("ignore")
def test_an_onnx_file_needs_no_trust_and_has_gradients(tmp_path):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3, padding=1))
    image = torch.zeros(1, 2, 32, 32)
    torch.onnx.export(network, (image,), str(tmp_path / "net.onnx"), dynamo=True, verbose=False, external_data=False)
    config = configured(tmp_path, 'file = "net.onnx"\nchannels = "real-imag"\nscale = "max"')
    document = run(make_plan(config), tmp_path / "out").document
    assert "agree with those of onnxruntime" in document.items[0].description
    (row,) = (row for row in document.worst_case.rows if row.method == "net")
    assert row.queries == 0
    assert not document.failures


def test_a_program_is_audited_by_queries(tmp_path):
    (tmp_path / "recon.py").write_text(RECON.format(1))
    config = configured(tmp_path, f"command = '{sys.executable} recon.py {{measurements}} {{output}}'\nname = 'vendor'")
    document = run(make_plan(config), tmp_path / "out").document
    assert not document.failures
    (row,) = (row for row in document.worst_case.rows if row.method == "vendor")
    assert row.queries > 0
    vendor, zero_filled = (
        [row.recovery for row in document.structure.rows if row.method == name] for name in ("vendor", "zero-filled")
    )
    assert vendor == pytest.approx(zero_filled, abs=1e-5)


def test_another_program_is_another_method(tmp_path):
    (tmp_path / "recon.py").write_text(RECON.format(1))
    config = configured(tmp_path, f"command = '{sys.executable} recon.py {{measurements}} {{output}}'")
    before = load_subjects(config)[0].fingerprint
    assert load_subjects(config)[0].fingerprint == before
    (tmp_path / "recon.py").write_text(RECON.format(2))
    assert load_subjects(config)[0].fingerprint != before


def test_a_file_that_is_not_trusted_ends_the_audit(exported):
    with pytest.raises(NetworkError, match="trusted = true"):
        load_subjects(configured(exported, 'file = "net.pt2"'))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ('zoo = "tv"\nfile = "a.pt"', "exactly one of"),
        ('factory = "a:b"\ncommand = "c {measurements} {output}"', "exactly one of"),
        ('zoo = "tv"\ntrusted = true', "zoo alone"),
        ('factory = "a:b"\ntrusted = true', "factory without trusted"),
        ('file = "a.pt"\nweights = "b"', "file without weights"),
        ('command = "c {measurements} {output}"\ntrusted = true\narguments = { a = 1 }', "command without arguments, trusted"),
        ('file = "a.pt"\ntimeout = 3.0', "file without timeout"),
    ],
)
def test_keys_of_another_source_are_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(f"[network]\n{network}")


def test_folders_of_a_command_are_not_in_the_report(tmp_path):
    (tmp_path / "recon.py").write_text(RECON.format(1))
    config = configured(tmp_path, f"command = '{sys.executable} {tmp_path}/recon.py {{measurements}} {{output}}'")
    plan = make_plan(config)
    assert str(tmp_path) not in str(plan.subjects[0].item.model_dump())
    assert "recon.py {measurements}" in plan.subjects[0].item.settings["command"]
