import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from stabtest.audit.units.engine import _next, run_units
from stabtest.audit.units.store import Result, Store
from stabtest.errors import AuditError, NetworkError
from stabtest.findings.records import QualityRow

# A module that worker processes can import too.
HELPER = """
import os, time
from dataclasses import dataclass
from stabtest.audit.units.store import Result
from stabtest.findings.records import QualityRow

@dataclass(frozen=True)
class Unit:
    key: str
    act: str = ""
    case: str = ""

    @property
    def label(self):
        return "unit " + self.key

def measure(unit, step):
    if unit.act == "die":
        os._exit(9)
    if unit.act == "raise":
        raise ValueError("wrong number")
    if unit.act == "sleep":
        time.sleep(float(os.environ.get("UNIT_SECONDS", "0.2")))
    return Result([QualityRow(case=unit.key, method=str(os.getpid()), nrmse=0.5, psnr=None, ssim=None)], evaluations=1)

def make():
    return measure
"""


@dataclass(frozen=True)
class Unit:
    key: str
    case: str = ""

    @property
    def label(self) -> str:
        return f"unit {self.key}"


class Counter:
    """Counts how often each unit is measured; fails on some."""

    def __init__(self, failing=()):
        self.seen, self.failing = [], dict(failing)

    def __call__(self):
        return self.measure

    def measure(self, unit, step):
        self.seen.append(unit.key)
        if unit.key in self.failing:
            raise self.failing[unit.key]
        step(0.5)
        return Result([QualityRow(case=unit.key, method="m", nrmse=0.5, psnr=None, ssim=None)])


UNITS = [Unit(key) for key in "abc"]


@pytest.fixture
def helper(tmp_path, monkeypatch):
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "engine_helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(str(folder))
    import engine_helper

    yield engine_helper
    sys.modules.pop("engine_helper", None)


def test_units_are_measured_once_and_then_resumed(tmp_path):
    counter, store = Counter(), Store(tmp_path)
    assert run_units(UNITS, counter, store).measured == 3
    ran = run_units(UNITS, counter, store)
    assert (ran.resumed, ran.measured) == (3, 0)
    assert counter.seen == list("abc")


def test_networks_are_not_loaded_when_everything_is_there(tmp_path):
    store = Store(tmp_path)
    run_units(UNITS, Counter(), store)
    run_units(UNITS, lambda: pytest.fail("loaded"), store)


@pytest.mark.parametrize(
    ("own", "others", "place"),
    [
        ("q", {"p"}, 2),  # the next unit of the case at hand, though another stands before it
        (None, {"p"}, 2),  # a process that has none: not the case of another process
        ("r", {"p"}, 2),  # nor one whose case is done
        (None, {"p", "q"}, 0),  # every case is under way: they are shared out
        ("r", {"p", "q"}, 0),
    ],
)
def test_a_process_goes_on_with_its_own_case_and_leaves_those_of_others(own, others, place):
    queue = [Unit("p1", "p"), Unit("p2", "p"), Unit("q1", "q"), Unit("q2", "q")]
    assert _next(queue, own, others) == place


def test_every_unit_is_measured_whatever_its_case(tmp_path, helper):
    units = [helper.Unit(f"{case}{number}", "", case) for case in "pqr" for number in range(3)]
    store = Store(tmp_path / "units")
    assert run_units(units, helper.make, store, workers=2).measured == 9
    assert all(store.get(unit.key) is not None for unit in units)


def test_only_a_damaged_unit_is_measured_again(tmp_path):
    counter, store = Counter(), Store(tmp_path)
    run_units(UNITS, counter, store)
    (tmp_path / "b.json").write_text("{")
    run_units(UNITS, counter, store)
    assert counter.seen == list("abcb")


def test_an_exception_is_a_failure_of_its_unit_and_is_tried_again(tmp_path):
    counter, store = Counter({"b": ValueError("wrong number"), "c": NetworkError("net", came="NaN")}), Store(tmp_path)
    ran = run_units(UNITS, counter, store)
    assert ran.measured == 1
    assert ran.failures[0][0] == "unit b"
    assert "ValueError: wrong number (test_engine.py, line" in ran.failures[0][1]
    assert ran.failures[1] == ("unit c", "net: came NaN.")
    run_units(UNITS, counter, store)
    assert counter.seen == list("abcbc")


def test_an_interruption_keeps_what_is_done(tmp_path):
    counter, store = Counter({"b": KeyboardInterrupt()}), Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_units(UNITS, counter, store)
    assert store.get("a") is not None
    assert store.get("b") is None


def test_a_full_disk_ends_the_audit(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "put", lambda *a: (_ for _ in ()).throw(AuditError("full")))
    with pytest.raises(AuditError, match="full"):
        run_units(UNITS, Counter(), Store(tmp_path))


def test_events_tell_the_whole_story(tmp_path):
    events = []
    run_units(UNITS[:1], Counter(), Store(tmp_path), progress=events.append)
    assert [event.state for event in events] == ["started", "step", "finished"]
    run_units(UNITS[:1], Counter(), Store(tmp_path), progress=events.append)
    assert events[-1].state == "resumed"


def test_processes_share_the_work_with_the_same_results(tmp_path, helper, monkeypatch):
    monkeypatch.setenv("UNIT_SECONDS", "1.5")  # the first process must not be through before the second has started
    units, store = [helper.Unit(key, "sleep") for key in "abcd"], Store(tmp_path / "units")
    ran = run_units(units, helper.make, store, workers=2)
    assert (ran.measured, ran.failures) == (4, ())
    pids = {store.get(unit.key).rows[0].method for unit in units}
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


def test_a_killed_worker_costs_only_its_own_unit(tmp_path, helper):
    acts = {"a": "", "b": "die", "c": "raise", "d": "", "e": ""}
    store = Store(tmp_path / "units")
    ran = run_units([helper.Unit(*item) for item in acts.items()], helper.make, store, workers=2)
    assert ran.measured == 3
    assert [label for label, _ in ran.failures] == ["unit b", "unit c"]
    assert "died" in ran.failures[0][1]
    assert all(store.get(key) is not None for key in "ade")


def test_sigint_ends_the_parent_and_its_workers(tmp_path, helper):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(helper.__file__).parent)!r})
        if __name__ == "__main__":
            import engine_helper
            from pathlib import Path
            from stabtest.audit.units.engine import _next, run_units
            from stabtest.audit.units.store import Store
            try:
                run_units([engine_helper.Unit(k, "sleep" if k > "b" else "") for k in "abcd"], engine_helper.make,
                          Store(Path({str(tmp_path / "units")!r})), workers=2,
                          progress=lambda event: print(event.state, event.unit.key, flush=True))
            except KeyboardInterrupt:
                sys.exit(3)
        """)
    )
    environment = {**os.environ, "UNIT_SECONDS": "60", "PYTHONPATH": os.getcwd()}
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background has its children ignore it
    child = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heed)
    finished = 0
    for line in child.stdout:
        finished += line.startswith("finished")
        if finished == 2:
            break
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 3
    assert sorted(path.name for path in (tmp_path / "units").glob("*.json")) == ["a.json", "b.json"]
