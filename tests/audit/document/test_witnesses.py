"""Witnesses of an audit as files that describe themselves: what they say is so, and they can be replayed from it alone."""

import json

import numpy as np
import pytest
import torch

from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases import make_case
from stabtest.audit.conduct import export_witnesses
from stabtest.audit.units.store import Store
from stabtest.errors import AuditError
from stabtest.search.probe import fingerprint
from stabtest.search.replay import replay
from stabtest.search.witness_file import load_witness

SET = """
[network]
factory = "net.py:make"
channels = "real-imag"
scale = "max"
name = "small"
[operator]
size = 32
mask = { acceleration = 2.0, seed = 1 }
[data]
count = 1
noise = 0.1
[reference]
method = "none"
[worst_case]
radii = [2.0]
unit = "noise"
norm = "linf"
region = { kind = "low_frequencies", below = 0.5 }
evaluations = 4
noise_draws = 1
[structure]
enabled = false
[sampling]
enabled = false
[lipschitz]
enabled = false
"""


def finding_of(result, name="worst_case.gain.max"):
    method = result.document.items[0].name
    return next(f for f in result.document.findings if f.statistic == name and f.method == method)


def test_the_file_says_what_it_is(audited, plan):
    finding = finding_of(audited)
    witness = load_witness(audited.out_dir / "witnesses" / f"{finding.witness}.npz")
    row = next(row for row in audited.document.worst_case.rows if row.witness == finding.witness)
    case = make_case(plan.config, 0)
    assert (witness.domain, witness.norm, witness.network) == ("measurement", "l2", "small")
    assert witness.radius.tolist() == [row.radius_absolute]
    assert witness.relative_radius.tolist() == [row.radius]
    assert witness.budget["spent"] == row.evaluations
    assert witness.cases[0] == row.case
    if row.case == case.name:
        assert witness.measurement_sha256 == (fingerprint(case.measurement[0]),)


def test_the_file_alone_with_network_and_measurement_gives_the_finding(audited, plan):
    finding = finding_of(audited)
    witness = load_witness(audited.out_dir / "witnesses" / f"{finding.witness}.npz")
    index = [make_case(plan.config, k).name for k in range(2)].index(witness.cases[0])
    case = make_case(plan.config, index)
    again = replay(witness, plan.subjects[0].method.reconstruct, case.operator, case.measurement)
    assert again.feasible == [True]
    assert again.gain.item() == pytest.approx(finding.value, rel=1e-4)


def test_no_measurement_is_in_the_file(audited):
    """It may be a patient's."""
    for path in (audited.out_dir / "witnesses").glob("*.npz"):
        assert load_witness(path).measurement is None


@pytest.fixture(scope="module")
def elsewhere(write_project, tmp_path_factory):
    """An audit whose perturbations are bounded in the largest norm, by the noise, in a region."""
    folder = tmp_path_factory.mktemp("set")
    write_project(folder)
    (folder / "tiny.toml").write_text(SET)
    plan = make_plan(load_config(folder / "tiny.toml"))
    return plan, run(plan, folder / "out")


def test_norm_and_region_are_in_the_file(elsewhere):
    plan, result = elsewhere
    witness = load_witness(result.out_dir / "witnesses" / f"{finding_of(result).witness}.npz")
    case = make_case(plan.config, 0)
    assert witness.norm == "linf"
    assert witness.relative_radius is None  # it is in multiples of the noise
    assert witness.radius.item() == pytest.approx(2 * case.noise_std, rel=1e-6)
    assert witness.region.dtype == torch.bool
    assert not bool(witness.perturbation[:, ~witness.region.expand(witness.perturbation.shape[1:])].abs().any())
    assert replay(witness, plan.subjects[0].method.reconstruct, case.operator, case.measurement).feasible == [True]


def test_a_file_with_more_than_its_region_is_infeasible(elsewhere):
    """Control: the region in the file is looked at."""
    from dataclasses import replace

    plan, result = elsewhere
    witness = load_witness(result.out_dir / "witnesses" / f"{finding_of(result).witness}.npz")
    case = make_case(plan.config, 0)
    wide = replace(witness, perturbation=witness.radius.float() * torch.ones_like(witness.perturbation) * case.operator.mask)
    assert replay(wide, plan.subjects[0].method.reconstruct, case.operator, case.measurement).feasible == [False]


def test_the_sentences_and_the_document_name_the_set(elsewhere):
    _, result = elsewhere
    section = result.document.worst_case
    assert (section.unit, section.norm, section.region) == ("noise", "linf", "frequencies below 0.5 of Nyquist")
    assert "2 times the noise's standard deviation in every sample" in finding_of(result).sentence
    assert "of frequencies below 0.5 of Nyquist only" in finding_of(result).sentence
    assert json.loads(result.document.model_dump_json())["worst_case"]["rows"][0]["unit"] == "noise"


def test_a_folder_that_cannot_be_written_is_an_error_of_the_audit(audited, plan, tmp_path):
    (tmp_path / "witnesses").write_text("a file where the folder should be")
    with pytest.raises(AuditError, match="witness"):
        export_witnesses(plan, Store(audited.out_dir / "units"), audited.document, tmp_path / "witnesses")


def test_numpy_reads_the_perturbation(audited):
    """For readers without stabtest."""
    with np.load(audited.out_dir / "witnesses" / f"{finding_of(audited).witness}.npz") as archive:
        assert archive["perturbation"].shape == (1, 32, 32)
