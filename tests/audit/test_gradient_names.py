"""What is wrong with a network's gradient stands by its name in the rows of its audit, and in the report that a reader sees."""

import pytest

from stabtest.audit import load_config, make_plan, run
from stabtest.findings import Document
from stabtest.report import render

NETWORK = """
import numpy as np
import torch
from torch import nn

class Faulty(nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, image):
        blurred = nn.functional.avg_pool2d(image, 3, 1, 1)
        match self.fault:
            case "detach":
                return 0.9 * blurred.detach()
            case "numpy":
                return torch.from_numpy(0.9 * blurred.numpy())
            case "rounding":
                return torch.round(1000 * blurred) / 1000
            case "dropout":
                return nn.functional.dropout(blurred, 0.2, training=True)
            case _:
                return 0.9 * blurred

def make(fault):
    return Faulty(fault)
"""

CONFIG = """
[network]
factory = "net.py:make"
arguments = {{ fault = "FAULT" }}
channels = "real-imag"
scale = "none"
name = "small"
[operator]
size = 32
mask = {{ acceleration = 2.0, seed = 1 }}
[data]
count = {count}
noise = 0.1
[reference]
method = "none"
[worst_case]
radii = [0.05]
evaluations = 4
noise_draws = 1
[structure]
enabled = false
[sampling]
enabled = false
[lipschitz]
enabled = false
"""

NAMES = {"detach": "disconnected", "numpy": "disconnected", "rounding": "disconnected", "dropout": "stochastic"}


@pytest.fixture(scope="module")
def document_of(write_project, tmp_path_factory):
    """The document of an audit of a network with a fault, as a reader of its JSON has it."""

    def audit(fault):
        folder = tmp_path_factory.mktemp(fault)
        project = write_project(folder, count=1, config=CONFIG.replace("FAULT", fault), network=NETWORK)
        document = run(make_plan(load_config(project)), folder / "out").document
        return Document.model_validate_json(document.model_dump_json())

    return audit


@pytest.mark.parametrize("fault", NAMES)
def test_a_fault_of_the_gradient_is_named_in_the_row_and_in_the_report(document_of, fault):
    document = document_of(fault)
    (row,) = [row for row in document.worst_case.rows if row.method == "small"]
    assert (row.gradient, row.status) == (NAMES[fault], "no usable gradient")
    assert row.queries == 40
    page = render(document)
    assert f"It was {NAMES[fault]}: " in page
    assert "with 40 queries for each image and radius" in page


def test_a_network_without_fault_is_called_healthy(document_of):
    """Control: the same network, differentiable, and the baseline beside the faulty one."""
    document = document_of("none")
    assert {(row.gradient, row.queries) for row in document.worst_case.rows} == {("healthy", 0)}
    assert "had no usable gradient" not in render(document)
