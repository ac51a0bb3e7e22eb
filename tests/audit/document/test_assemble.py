from stabtest.audit.document.assemble import assemble
from stabtest.audit.units.engine import Ran
from stabtest.audit.units.store import Store
from stabtest.findings import Criterion, Verdict


def assembled(plan, out_dir, criterion, failures):
    config = plan.config.model_copy(update={"criterion": (criterion,)}).at(plan.config.base_dir)
    document = assemble(
        type(plan)(**{**vars(plan), "config": config}),
        Store(out_dir / "units"),
        gates=[],
        ran=Ran(resumed=0, measured=0, failures=failures),
        frozen="2025-02-03T10:20:30Z",
    )
    (found,) = [f for f in document.findings if f.criterion is not None]
    return document, found


def test_units_that_failed_take_a_pass_back(audited, plan):
    """The same results, as if one more case had been planned and had ended in an error."""
    bound = next(f for f in audited.document.findings if f.statistic == "lipschitz.network_alone")
    criterion = Criterion(id="C", statistic=bound.statistic, rule="at most", limit=2 * bound.interval.upper)
    _, found = assembled(plan, audited.out_dir, criterion, ())
    assert found.verdict is Verdict.PASS
    unit = next(unit for unit in plan.units if unit.test == "lipschitz")
    document, found = assembled(plan, audited.out_dir, criterion, ((unit.label, "small: wrong output"),))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 unit of this test ended in an error" in found.reason
    assert [failure.unit for failure in document.failures] == [unit.label]
