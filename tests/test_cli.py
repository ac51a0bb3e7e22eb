"""The command line: exit statuses, one message for each mistake, nothing half-written."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stabtest.cli import app

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4, mode="good"):
        super().__init__()
        self.mode = mode
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 2, 3, padding=1))

    def forward(self, image):
        out = 0.98 * image + 0.001 * self.layers(image)  # shrinks the noise: better than zero-filling
        return {"good": out, "nan": out * float("nan"), "shape": out[..., :-1], "channels": out[:, :1],
                "random": out + torch.randn_like(out), "list": [out], "blind": 0 * out + 1}[self.mode]

def make(width=4, mode="good"):
    return Net(width, mode)
"""

CONFIG = """
[audit]
title = "Tiny"
[network]
factory = "net.py:make"
channels = "real-imag"
scale = "max"
[operator]
size = 32
mask = { acceleration = 2.0 }
[data]
count = 1
noise = 0.1
[reference]
method = "zero-filled"
[worst_case]
radii = [0.05]
evaluations = 4
noise_draws = 2
[structure]
enabled = false
[sampling]
enabled = false
[lipschitz]
enabled = false
"""
CRITERION = (
    '[[criterion]]\nid = "C1"\nstatistic = "worst_case.relative_change.max"\nrule = "at most"\nlimit = {}\nuniversal = true\n'
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a network and a configuration, as the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "tiny.toml").write_text(CONFIG)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts)


def test_help_names_every_command():
    result = call("--help")
    assert result.exit_code == 0
    for command in ("demo", "init", "check", "audit", "report", "bound", "zoo"):
        assert command in result.output


def test_the_list_of_commands_has_whole_sentences():
    """Where a terminal is 80 columns wide."""
    listed = call("--help").output.partition("Commands:")[2].partition("Exit status")[0]
    assert "..." not in listed
    assert len([line for line in listed.splitlines() if line.strip()]) == 12


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from stabtest.cli import app; from typer.testing import CliRunner; CliRunner().invoke(app, ['--help']);"
        "print([m for m in ('torch', 'numpy', 'pandas', 'matplotlib', 'pydantic', 'scipy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_unknown_commands_and_options_are_wrong_use():
    assert call("adit").exit_code == 2
    assert call("check", "--fast").exit_code == 2
    assert call("audit").exit_code == 2


def test_init_writes_what_check_reads(project):
    assert call("init", "new.toml").exit_code == 0
    from stabtest.audit import load_config

    assert load_config(project / "new.toml").network.zoo == "unet-mri"


def test_init_does_not_overwrite(project):
    result = call("init", "tiny.toml")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (project / "tiny.toml").read_text() == CONFIG
    assert call("init", "tiny.toml", "--force").exit_code == 0


def test_check_runs_the_gates_and_writes_nothing(project):
    before = listing(project)
    result = call("check", "tiny.toml")
    assert result.exit_code == 0
    assert "Every gate holds" in result.stdout
    assert listing(project) == before
    assert [line for line in result.stdout.splitlines() if line.endswith(" ...")] == [
        "the first case ...",
        "gates of make ...",
        "gates of zero-filled ...",
    ]


@pytest.mark.parametrize("out", ["net.py", "net.py/below"])
def test_a_folder_that_results_cannot_go_to_is_told_before_the_gates(project, out):
    before = listing(project)
    result = call("audit", "tiny.toml", "--out", out)
    assert result.exit_code == 2
    assert "can be written" in result.stderr
    assert "--out" in result.stderr
    assert "gates" not in result.stdout
    assert listing(project) == before


def test_a_folder_that_may_not_be_written_is_told_before_the_gates(project, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, mode: not (mode & os.W_OK))
    result = call("audit", "tiny.toml", "--out", "new folder/audit")
    assert result.exit_code == 2
    assert "may not be written" in result.stderr
    assert "gates" not in result.stdout


@pytest.mark.parametrize(("command", "kept"), [("check", False), ("audit", True)])
def test_an_interruption_says_whether_anything_is_kept(project, monkeypatch, command, kept):
    import stabtest.audit.conduct
    import stabtest.audit.gates

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stabtest.audit.gates, "run_gates", interrupt)
    monkeypatch.setattr(stabtest.audit.conduct, "run_gates", interrupt)
    result = call(command, "tiny.toml")
    assert result.exit_code == 3
    assert ("is kept" in result.stderr) == kept
    assert ("begins again" in result.stderr) == (not kept)


def program(project, code):
    """The configuration with a program as the network."""
    (project / "recon.py").write_text(f"import sys, numpy as n\ny = n.load(sys.argv[1])\nn.save(sys.argv[2], {code})")
    network = f"command = '{sys.executable} recon.py {{measurements}} {{output}}'\ntakes = \"pseudo_inverse\"\n"
    start, end = CONFIG.index("factory"), CONFIG.index("[operator]")
    (project / "tiny.toml").write_text(CONFIG[:start] + network + CONFIG[end:])


def test_a_program_needs_no_gradient_to_be_checked(project):
    program(project, "0.98 * y")
    result = call("check", "tiny.toml")
    assert result.exit_code == 0, result.output
    assert "Every other gate holds" in result.stdout
    assert "by queries alone" in result.stdout


def test_a_program_that_is_blind_is_told_by_check(project):
    """Control: only the gradient is excused."""
    program(project, "0 * y + 1")
    result = call("check", "tiny.toml")
    assert result.exit_code == 2
    assert "gradient" not in result.stderr


def test_audit_writes_both_reports_and_goes_on(project):
    result = call("audit", "tiny.toml")
    assert result.exit_code == 0, result.output
    out = project / "tiny-audit"
    document = json.loads((out / "report.json").read_text())
    assert document["command"] == "stabtest audit tiny.toml"
    assert (out / "report.html").stat().st_size > 10_000
    assert "REPORTED, NO VERDICT" in result.stdout
    again = call("audit", "tiny.toml")
    assert again.stdout.count(": found") == document["cost"]["units"]


def test_a_failed_criterion_is_status_1(project):
    (project / "tiny.toml").write_text(CONFIG + CRITERION.format(1e-6))
    result = call("audit", "tiny.toml", "--junit", "ci/junit.xml", "--summary", "ci/summary.md")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert '<failure message="FAIL: ' in (project / "ci" / "junit.xml").read_text(encoding="utf-8")
    assert "| **FAIL** | C1 |" in (project / "ci" / "summary.md").read_text(encoding="utf-8")


def test_a_criterion_that_holds_is_status_0_and_no_pass_by_search(project):
    (project / "tiny.toml").write_text(CONFIG + CRITERION.format(1e6))
    result = call("audit", "tiny.toml")
    assert result.exit_code == 0
    assert "INCONCLUSIVE" in result.stdout
    assert "PASS" not in result.stdout


def test_report_judges_by_other_criteria_and_says_so(project):
    assert call("audit", "tiny.toml").exit_code == 0
    assert call("report", "tiny-audit").exit_code == 0
    (project / "strict.toml").write_text(CRITERION.format(1e-6))
    result = call("report", "tiny-audit", "--criteria", "strict.toml")
    assert result.exit_code == 1
    document = json.loads((project / "tiny-audit" / "report.json").read_text())
    assert any("after the results were known" in text for text in document["deviations"])
    assert [f["verdict"] for f in document["findings"] if f["criterion"]] == ["FAIL"]
    assert call("report", "tiny-audit").exit_code == 1


def test_a_failed_unit_is_status_3_and_a_row(project):
    text = CONFIG.replace("[structure]\nenabled = false", "[structure]\ndiameters = [40.0]")
    (project / "tiny.toml").write_text(text)
    result = call("audit", "tiny.toml")
    assert result.exit_code == 3
    assert "not measured: structure" in result.stdout
    document = json.loads((project / "tiny-audit" / "report.json").read_text())
    assert len(document["failures"]) == 2


def test_bound_prints_layers_and_brackets(project):
    result = call("bound", "tiny.toml")
    assert result.exit_code == 0, result.output
    assert "conv2d" in result.stdout
    assert "measurement to image: at least" in result.stdout
    assert "semidefinite per frequency" in result.stdout


def test_bound_writes_its_section_and_its_layers(project):
    result = call("bound", "tiny.toml", "--seconds", "0", "--out", "bound")
    assert result.exit_code == 0, result.output
    section = json.loads((project / "bound" / "bound.json").read_text())
    lines = (project / "bound" / "layers.csv").read_text().splitlines()
    assert len(lines) == 1 + len(section["layers"])
    assert [each["name"] for each in section["bounds"] if each["upper"] is not None] == ["product of the layers"]


def test_bound_goes_on_from_what_an_earlier_run_has_left(project):
    for _ in range(2):
        result = call("bound", "tiny.toml", "--seconds", "1", "--out", "again")
        assert result.exit_code == 0, result.output
    assert (project / "again" / "multipliers.safetensors").stat().st_size > 0


def test_zoo_lists_and_prints_cards():
    assert "unet-mri" in call("zoo").stdout
    assert "description" in call("zoo", "tv").stdout


def test_the_card_of_a_network_ends_with_its_scan_as_a_configuration():
    import reconstructors
    from stabtest.audit import parse_config

    stated = 0
    for name in reconstructors.names():
        _, _, text = call("zoo", name).stdout.partition("as stabtest.toml:")
        if text:
            config, card = parse_config(text), reconstructors.load(name).card
            assert (config.network.zoo, config.operator.size, config.modality) == (name, card["size"], card["modality"])
            assert config.data.noise == card["noise_level"]
            stated += 1
    assert stated >= 15
    result = call("zoo", "unet-mir")
    assert result.exit_code == 2
    assert "unet-mri" in result.stderr


def test_a_seed_is_recorded(project):
    assert call("audit", "tiny.toml", "--seed", "5", "--out", "five").exit_code == 0
    document = json.loads((project / "five" / "report.json").read_text())
    assert document["seed"] == 5
    assert "--seed 5" in document["command"]


def edited(old, new):
    return lambda folder: (folder / "tiny.toml").write_text(CONFIG.replace(old, new))


def with_arguments(mode):
    return edited('channels = "real', f'arguments = {{ mode = "{mode}" }}\nchannels = "real')


def test_a_network_that_is_random_is_told_by_check(project):
    with_arguments("random")(project)
    result = call("check", "tiny.toml")
    assert result.exit_code == 2
    assert "determinism" in result.stderr


def test_a_blind_network_is_invalid_and_never_passes(project):
    with_arguments("blind")(project)
    (project / "tiny.toml").write_text(
        (project / "tiny.toml").read_text() + CRITERION.format(0.1).replace("universal = true\n", "")
    )
    result = call("audit", "tiny.toml")
    assert result.exit_code == 0
    document = json.loads((project / "tiny-audit" / "report.json").read_text())
    assert [f["verdict"] for f in document["findings"] if f["criterion"]] == ["INVALID"]


def test_debug_shows_the_traceback(project):
    edited("radii", "radiis")(project)
    assert "Traceback" in call("check", "tiny.toml", "--debug").stderr


def test_report_of_a_damaged_document(project):
    (project / "out").mkdir()
    (project / "out" / "report.json").write_text('{"schema_version": 1')
    result = call("report", "out")
    assert result.exit_code == 2
    assert "report.json" in result.stderr


def test_a_defect_is_neither_a_verdict_nor_a_users_mistake(project, monkeypatch):
    import stabtest.audit.gates

    monkeypatch.setattr(stabtest.audit.gates, "run_gates", lambda plan, **_: 1 / 0)
    result = call("check", "tiny.toml")
    assert result.exit_code == 70
    assert "defect of the tool" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE")
def test_a_reader_that_has_enough_is_no_defect():
    """As ``stabtest zoo | head -1``."""
    child = subprocess.Popen(
        [sys.executable, "-m", "stabtest", "zoo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait(60) == 3


def heed_interrupts():
    """A shell that starts the tests in its background has them ignore SIGINT, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_audit_is_status_3_and_goes_on(project, number):
    (project / "tiny.toml").write_text(CONFIG.replace("count = 1", "count = 40"))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-u", "-m", "stabtest", "audit", "tiny.toml"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heed_interrupts
    )
    for line in child.stdout:
        if line.startswith("[4/"):
            break
    child.send_signal(number)
    _, message = child.communicate(timeout=60)
    assert child.returncode == 3
    assert "goes on" in message
    out = project / "tiny-audit"
    assert not (out / "report.json").exists()
    assert list(out.rglob("*.part")) == []
    assert len(list((out / "units").glob("*.json"))) >= 4
