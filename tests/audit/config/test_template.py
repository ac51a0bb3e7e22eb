import re

import pytest

from stabtest.audit.config import Config
from stabtest.audit.config.file import parse_config
from stabtest.audit.config.settings import MapsSection, MaskSection, TrajectorySection
from stabtest.audit.config.template import init_template
from stabtest.findings import Criterion

SETTINGS = [line for line in init_template().splitlines() if re.match(r"# [a-z_.]+ = ", line)]
ALTERNATIVES = ("# factory", "# arguments", "# weights", "# takes", "# channels", "# scale")
OF_KSPACE = ("# slices", "# every", "# field_of_view", "# truth", "# width")
OF_THE_OPERATOR = ('# factory = "my_scanner.py:make"', "# arguments = { views = 30 }", '# matrix = "system_matrix.npz"')
OF_A_FILE, OF_A_COMMAND = ("# file = ", "# trusted"), ("# command", "# format", "# timeout")


def test_the_template_is_valid_as_it_stands():
    assert parse_config(init_template()).network.zoo == "unet-mri"


def test_every_key_appears():
    text = init_template()
    for name, field in Config.model_fields.items():
        model = field.annotation
        if hasattr(model, "model_fields"):
            assert f"[{name}]" in text
            for key in model.model_fields:
                assert re.search(rf"^(# )?{key}(\.| = )", text, re.M), f"[{name}] {key}"
    for table, model in (("mask", MaskSection), ("trajectory", TrajectorySection), ("maps", MapsSection)):
        for key in model.model_fields:
            assert re.search(rf"^(# )?{table}.{key} = ", text, re.M)
    for key in Criterion.model_fields:
        assert f"# {key} = " in text


@pytest.mark.parametrize("line", sorted(set(SETTINGS)))
def test_each_commented_key_can_be_set(line):
    """Taking the "#" from one line leaves a valid file, unless the line replaces another."""
    text = init_template()
    criterion = text[text.index("# [[criterion]]") :]
    if line in criterion:
        text = text.replace(criterion, re.sub(r"^# ", "", criterion, flags=re.M))
    elif line.startswith(("# files", "# patients", "# groups", *OF_KSPACE)):
        text = text.replace(line, line[2:], 1).replace("# files", "files").replace('# kind = "phantom"', 'kind = "kspace"')
        text = text.replace("noise = 0.01\n", "")  # real data bring their own
    elif line.startswith(("# zero = ", "# one = ")):
        text = text.replace(line, line[2:], 1).replace("# files", "files").replace('# kind = "phantom"', 'kind = "images"')
    elif line.startswith("# mask.file"):
        text = re.sub(r"^mask\..*\n", "", text.replace(line, "FILE"), flags=re.M).replace("FILE", line[2:])
    elif line.startswith("# trajectory.density_file"):
        text = text.replace(line, line[2:], 1).replace("# trajectory.file", "trajectory.file")
    elif line.startswith((*OF_A_FILE, *OF_A_COMMAND)):
        source = "file" if line.startswith(OF_A_FILE) else "command"
        text = text.replace('zoo = "unet-mri"\n', "").replace(f'# {source} = "', f'{source} = "').replace(line, line[2:], 1)
    elif line in OF_THE_OPERATOR:
        source = "matrix" if "matrix" in line else "factory"
        before, after = text.split("[operator]")
        after = after.replace('# kind = "fourier"', 'kind = "own"').replace(f"# {source} = ", f"{source} = ", 1)
        text = f"{before}[operator]{after.replace(line, line[2:], 1)}"
    elif line.startswith(ALTERNATIVES):
        text = text.replace('zoo = "unet-mri"\n', "").replace('# factory = "', 'factory = "', 1).replace(line, line[2:], 1)
    else:
        text = text.replace(line, line[2:], 1)
    parse_config(text)


def test_the_template_measures_as_its_network_was_trained():
    from stabtest.audit.document.limitations import _outside_training

    mask = {"mask": "cartesian_gaussian", "acceleration": 4, "centre_fraction": 0.08, "seed": 0}
    data = {"data": "2000 head phantoms, seeds 10000000 to 10001999"}
    card = {"size": 128, "operator": {"kind": "fourier", **mask}, "noise_level": 0.01, "training": data}
    assert _outside_training(parse_config(init_template()), card) == []


def test_the_criterion_of_the_template_can_pass():
    text = init_template()
    criterion = text[text.index("# [[criterion]]") :]
    (read,) = parse_config(text.replace(criterion, re.sub(r"^# ", "", criterion, flags=re.M))).criterion
    assert read.statistic == "quality.psnr.median"
    assert not read.universal


def test_defaults_shown_are_the_defaults():
    shown = dict(re.match(r"# ([a-z_.]+) = (.*)", line).groups() for line in reversed(SETTINGS))  # of equal keys the first
    assert shown["evaluations"] == str(Config.model_fields["worst_case"].default.evaluations)
    assert shown["first_seed"] == str(Config.model_fields["data"].default.first_seed)
