"""Units on a Dask cluster of this machine: the same results, failures as rows, killed workers survived."""

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.kill import stripped, write_project
from stabtest.audit.units import cluster as clusters
from stabtest.audit.units.engine import run_units
from stabtest.audit.units.store import Store
from stabtest.cli import app
from stabtest.errors import AuditError, ConfigError

distributed = pytest.importorskip("distributed")

# A module that workers can import too.
HELPER = """
import os
from dataclasses import dataclass
from pathlib import Path
from stabtest.audit.units.store import Result
from stabtest.errors import NetworkError
from stabtest.findings.records import QualityRow

@dataclass(frozen=True)
class Unit:
    key: str
    act: str = ""
    marker: str = ""
    case: str = ""

    @property
    def label(self):
        return "unit " + self.key

def measure(unit, step):
    marker = Path(unit.marker)
    if unit.act == "die" or (unit.act == "die once" and not marker.exists()):
        marker.touch() if unit.act == "die once" else None
        os._exit(9)
    if unit.act == "raise":
        with marker.open("a") as file:
            file.write("x")
        raise ValueError("wrong number")
    if unit.act == "refuse":
        raise NetworkError("net", came="NaN")
    return Result([QualityRow(case=unit.key, method=str(os.getpid()), nrmse=0.5, psnr=None, ssim=None)], evaluations=1)

def make():
    return measure
"""


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "cluster_helper.py").write_text(HELPER)
    sys.path.insert(0, str(folder))
    import cluster_helper

    yield cluster_helper
    sys.path.remove(str(folder))
    sys.modules.pop("cluster_helper", None)


def local(workers):
    """Processes with a thread each; a unit that kills two of them is given up."""
    return distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)


OPTIONS = {"distributed.scheduler.allowed-failures": 1, "distributed.comm.timeouts.connect": "30s"}


@pytest.fixture(scope="module")
def address(helper):
    """One worker: every further one imports PyTorch for itself."""
    import dask

    with dask.config.set(OPTIONS), local(1) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def two(helper):
    """Two workers, for a test in which they die."""
    import dask

    with dask.config.set(OPTIONS), local(2) as cluster:
        yield cluster.scheduler_address


def test_an_exception_is_a_row_and_what_is_foreseen_is_not_tried_again(address, helper, tmp_path):
    acts = {"a": "", "b": "raise", "c": "refuse"}
    units = [helper.Unit(key, act, str(tmp_path / f"marker-{key}")) for key, act in acts.items()]
    store = Store(tmp_path / "units")
    errors = dict(run_units(units, helper.make, store, scheduler=address).failures)
    assert sorted(errors) == ["unit b", "unit c"]
    assert "ValueError: wrong number (cluster_helper.py, line" in errors["unit b"]
    assert errors["unit c"] == "net: came NaN."
    assert (tmp_path / "marker-b").read_text() == "x" * (clusters.RETRIES + 1)
    assert store.get("a").rows[0].method != str(os.getpid())
    again = run_units(units[:1], helper.make, store, scheduler="tcp://nowhere:1")
    assert (again.resumed, again.measured) == (1, 0)  # what is there needs no cluster


@pytest.mark.slow
def test_a_killed_worker_is_survived(two, helper, tmp_path):
    acts = {"a": "", "d": "die once", "e": "die", "f": ""}
    units = [helper.Unit(key, act, str(tmp_path / f"marker-{key}")) for key, act in acts.items()]
    store = Store(tmp_path / "units")
    errors = dict(run_units(units, helper.make, store, scheduler=two).failures)
    assert list(errors) == ["unit e"]
    assert "died" in errors["unit e"]
    assert all(store.get(key) is not None for key in "adf")


def test_an_audit_goes_on_from_one_way_of_running_to_the_other(address, tmp_path, monkeypatch):
    """Begun in this process, ended on the cluster: the report is that of an audit in this process alone."""
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, count=1)
    assert CliRunner().invoke(app, ["audit", "killed.toml", "--out", "here"]).exit_code == 1  # the criterion fails
    units = sorted(Path("here/units").glob("*.json"))
    Path("there/units").mkdir(parents=True)
    for path in units[::3]:
        for file in (path, path.with_suffix(".npz")):
            if file.exists():
                (Path("there/units") / file.name).write_bytes(file.read_bytes())
    result = CliRunner().invoke(app, ["audit", "killed.toml", "--out", "there", "--scheduler", address])
    assert result.exit_code == 1, result.output
    assert result.stdout.count(": found") == len(units[::3])
    reports = [json.loads(Path(out, "report.json").read_text()) for out in ("here", "there")]
    for report in reports:
        report.pop("command")
    assert stripped(reports[0]) == stripped(reports[1])


def test_units_for_a_gpu_are_refused_where_no_worker_has_one(address, helper, tmp_path):
    with pytest.raises(AuditError, match=r"resource GPU.*1 without it.*--resources"):
        run_units([helper.Unit("a")], helper.make, Store(tmp_path), scheduler=address, gpu=True)


def test_units_for_a_gpu_go_to_the_worker_that_has_one(helper, tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"GPU": 1}
    ) as cluster:
        ran = run_units([helper.Unit("a")], helper.make, Store(tmp_path), scheduler=cluster.scheduler_address, gpu=True)
    assert ran.measured == 1


def test_workers_with_other_code_are_refused(address, helper, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "code_sha256", lambda: str(os.getpid()))
    with pytest.raises(AuditError, match="the same version of stabtest"):
        run_units([helper.Unit("a")], helper.make, Store(tmp_path), scheduler=address)


def test_no_scheduler_is_told(helper, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT", 0.5)
    with pytest.raises(ConfigError, match=r"127.0.0.1:9.*address of a Dask scheduler"):
        run_units([helper.Unit("a")], helper.make, Store(tmp_path), scheduler="tcp://127.0.0.1:9")


def test_without_dask_the_extra_is_named(helper, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"stabtest\[cluster\]"):
        run_units([helper.Unit("a")], helper.make, Store(tmp_path), scheduler="tcp://127.0.0.1:9")
