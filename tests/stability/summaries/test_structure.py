import math

import pytest

from stabtest.findings import Criterion, Verdict, decide
from stabtest.findings.records import StructureRow
from stabtest.stability import summarise

ROLES = {"net": "under test", "tv": "reference"}


def detail(case, recovery, method="net", *, identifiable=True, outside=0.1):
    return StructureRow(
        case=case,
        method=method,
        detail="lesion",
        site="(1, 1)",
        diameter_px=4,
        contrast=0.1,
        recovery=recovery,
        region_nrmse=0.1,
        outside_energy=outside,
        sham_recovery=None,
        data_detectability=10,
        null_space_share=0.1,
        identifiable=identifiable,
    )


def judged(rows, statistic, limit, rule="at most"):
    found = next(f for f in summarise(rows, roles=ROLES) if f.statistic == statistic and f.method == "net")
    return decide(found, Criterion(id="C", statistic=statistic, rule=rule, limit=limit))


def test_details_that_the_reference_lost_too_stay_in_the_statistic():
    """A network that erases every lesion of 50 patients, beside a reference that shows a little less than half of them."""
    rows = [detail(f"c{k}", 0.0 if k < 50 else 0.9) for k in range(110)]
    rows += [detail(f"c{k}", 0.49 if k < 50 else 0.9, "tv") for k in range(110)]
    found = judged(rows, "structure.lost_fraction", 0.1)
    assert found.verdict is Verdict.FAIL
    assert found.n == 110
    assert "tv lost 50 of them too" in found.sentence


def test_the_reference_changes_no_verdict():
    rows = [detail(f"c{k}", 0.9 if k else 0.1) for k in range(80)]
    other = [detail(f"c{k}", 0.1, "tv") for k in range(80)]
    for statistic, limit, rule in (("structure.recovery.median", 0.5, "at least"), ("structure.lost_fraction", 0.1, "at most")):
        alone, beside = (judged(each, statistic, limit, rule) for each in (rows, rows + other))
        assert (alone.verdict, alone.value, alone.interval) == (beside.verdict, beside.value, beside.interval)


def test_what_the_data_do_not_carry_is_set_aside_for_all():
    rows = [detail(f"c{k}", 0.9 if k else 0.0, identifiable=bool(k)) for k in range(80)]
    found = judged(rows, "structure.lost_fraction", 0.1)
    assert (found.verdict, found.n) == (Verdict.PASS, 79)
    assert "1 of 80 details were set aside" in found.sentence


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_recovery_that_is_no_number_is_a_lost_detail(bad):
    rows = [detail(f"c{k}", bad if k < 4 else 0.9, outside=math.nan if k < 4 else 0.1) for k in range(5)]
    assert judged(rows, "structure.lost_fraction", 0.1).verdict is Verdict.FAIL
    assert judged(rows, "structure.recovery.min", 0.1, "at least").verdict is Verdict.FAIL
    assert judged(rows, "structure.recovery.median", 0.1, "at least").verdict is not Verdict.PASS
    assert judged(rows, "structure.outside_energy.max", 10.0).verdict is Verdict.FAIL
