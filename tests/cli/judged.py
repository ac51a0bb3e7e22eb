"""A report of one criterion, as `stabtest audit` would have written it."""

from stabtest.findings import Criterion, Document, Finding, decide
from stabtest.findings.document import Cost, DataInfo, Item, Tool
from stabtest.findings.records import Failure, Interval
from stabtest.findings.verdicts import criteria_hash

CRITERION = Criterion(id="C", statistic="quality.nrmse.median", rule="at most", limit=0.1)


def document(value, *, valid=True, failures=(), spread=0.0):
    finding = Finding(
        test="quality",
        statistic=CRITERION.statistic,
        method="net",
        value=value,
        interval=None if value is None else Interval(lower=value - spread, upper=value + spread, level=0.95, method=""),
        unit="",
        n=9,
        valid=valid,
        witness=None,
        sentence="A sentence.",
    )
    return Document(
        id="a",
        title="An audit",
        created="2025-02-03T10:20:30Z",
        tool=Tool(version="0", commit=None, python="3", packages={}, platform="", device="cpu", threads=1),
        command="stabtest audit a.toml",
        configuration={},
        configuration_sha256="c" * 64,
        seed=0,
        modality="mri",
        items=[Item(name="net", role="under test", description="")],
        operator={},
        data=DataInfo(source="", simulated=True, cases=[]),
        gates=[],
        quality=[],
        criteria=[CRITERION],
        criteria_sha256=criteria_hash([CRITERION]),
        criteria_frozen="2025-02-03T10:20:30Z",
        findings=[decide(finding, CRITERION)],
        failures=[Failure(unit=f"quality: net, case {n}", error="wrong output") for n in failures],
        cost=Cost(wall_seconds=0, units=1, gradient_evaluations=0),
    )
