"""Every test of an audit runs on multi-coil MRI and on CT as well: no failure, and rows of every kind. (`test_conduct.py`: single-coil.)"""

import re

import pytest

from stabtest.audit import load_config, make_plan, run
from stabtest.report import render

OPERATORS = {
    "multicoil": 'kind = "multicoil"\ncoils = 2\nsize = 64\nmask = {{ acceleration = 2.0, seed = 1 }}',
    "radon": 'kind = "radon"\nsize = 64\nangles = 24',
}


@pytest.fixture(scope="module", params=OPERATORS)
def audited(request, tmp_path_factory, tiny, write_project):
    config, network = tiny
    config = re.sub(r"(?<=\[operator\]\n).*?(?=\n\n)", OPERATORS[request.param], config, flags=re.S)
    config = config.replace("evaluations = 6", "evaluations = 2").replace("radii = [0.02, 0.05]", "radii = [0.05]")
    config = config[: config.index("[[criterion]]")]
    if request.param == "radon":
        config = config.replace('channels = "real-imag"', 'channels = "native"')
        config = config.replace("fractions = [0.25, 1.0]", "views = [12]")
        config = re.sub("patterns = .*", 'patterns = ["limited_angle"]', config)
        network = network.replace("Conv2d(2, 2", "Conv2d(1, 1").replace("randn(2, 2", "randn(1, 1")
    folder = tmp_path_factory.mktemp(request.param)
    path = write_project(folder, count=1, config=config, network=network)
    return run(make_plan(load_config(path)), folder / "out")


def test_no_unit_fails(audited):
    assert audited.document.failures == []
    assert audited.complete


def test_every_section_has_rows(audited):
    document = audited.document
    assert document.quality
    for section in (
        document.worst_case,
        document.structure,
        document.missed_lesion,
        document.sampling,
        document.noise,
        document.repeatability,
        document.shift,
        document.detectability,
    ):
        assert section.rows
    assert document.image_quality.transfer
    assert document.kernel.errors
    assert document.kernel.transfers
    assert document.kernel.sfrc
    assert document.lipschitz.layers


def test_of_no_test_the_page_says_that_it_was_not_run_and_of_subgroups_that_there_are_none(audited):
    page = render(audited.document)
    assert page.count("Not run") == 0
    assert page.count("No subgroups: the configuration names none") == 1
