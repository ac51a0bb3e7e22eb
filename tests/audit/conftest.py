"""A tiny audit of a small network, run once for all tests that look at its results."""

import pytest

from stabtest.audit.config.file import load_config

NETWORK = '''
import torch
from torch import nn

class Small(nn.Module):
    """A small network for tests."""

    def __init__(self, gain):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layer = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.layer.weight.data = gain * torch.randn(2, 2, 3, 3, generator=generator)

    def forward(self, image):
        return 0.98 * image + 0.1 * torch.tanh(self.layer(image))

def make(gain=0.01):
    return Small(gain)
'''

CONFIG = """
[audit]
title = "Tiny"

[network]
factory = "net.py:make"
channels = "real-imag"
scale = "max"
name = "small"

[operator]
size = 32
mask = {{ acceleration = 2.0, seed = 1 }}

[data]
count = {count}
noise = 0.1

[reference]
method = "tv"
iterations = 5

[worst_case]
radii = [0.02, 0.05]
evaluations = 6
noise_draws = 2

[structure]
diameters = [4.0]
shapes = ["lesion", "line_pairs"]
sizes = {{ line_pairs = [8.0] }}
contrasts = [0.3]
sites = 1

[missed_lesion]
enabled = true
contrasts = [0.3, 0.4]
places = 3
evaluations = 8

[sampling]
fractions = [0.25, 1.0]
patterns = ["radial", "variable_density"]

[noise]
levels = [1.0, 2.0]
draws = 2

[image_quality]
enabled = true
contrasts = [0.3, 1.0]
diameter = 8.0
edge_realisations = 2
noise_realisations = 3
noise_side = 6

[shift]
enabled = true
objects = {{ translation_columns = [1.0] }}
scans = {{ mask = [0.2] }}
box = {{ intensity = 0.1 }}
restarts = 1
steps = 1

[detectability]
enabled = true
diameters = [5.0]
contrasts = [0.4, 0.8]
realisations = 20
observers = ["npw"]

[kernel]
enabled = true
families = ["bump"]
steps = 2
starts = 1
sfrc = {{ threshold = 0.5, least_cutoff = 0.5, side = 8 }}

[lipschitz]
jacobian_steps = 2

[[criterion]]
id = "C1"
statistic = "worst_case.relative_change.max"
rule = "at most"
limit = 0.001
universal = true

[[criterion]]
id = "C2"
statistic = "quality.psnr.median"
rule = "at most"
limit = 1.0
"""


def write_project(folder, *, count=2, config=CONFIG, network=NETWORK):
    """A configuration and a network in a folder; the path of the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(network)
    (folder / "tiny.toml").write_text(config.format(count=count))
    return folder / "tiny.toml"


@pytest.fixture(scope="session")
def tiny():
    """Text of the tiny configuration, and of its network."""
    return CONFIG, NETWORK


@pytest.fixture(scope="session", name="write_project")
def _write_project():
    return write_project


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def plan(project):
    from stabtest.audit import make_plan

    return make_plan(load_config(project))


@pytest.fixture(scope="session")
def audited(plan, tmp_path_factory):
    """Result and folder of the whole tiny audit."""
    from stabtest.audit import run

    return run(plan, tmp_path_factory.mktemp("audit") / "out")
