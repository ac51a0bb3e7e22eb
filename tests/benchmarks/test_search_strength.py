"""The command: what is missing is run, what is there is reported, the exit status says whether the goals are met."""

from __future__ import annotations

import sys

import pytest

from benchmarks import search_strength


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["search_strength.py", *map(str, arguments)])
    return search_strength.main()


@pytest.mark.parametrize(("at_20", "status"), [(1.0, 0), (0.9, 1)])
def test_exit_status_of_the_report(row, tmp_path, monkeypatch, capsys, at_20, status):
    path = tmp_path / "record.jsonl"
    rows = [
        row(network="tv-mri", best={10: 0.9, 20: at_20, 100: 1.0}),
        row("APGD", "published", network="tv-mri", best={10: 0.5}),
    ]
    path.write_text("\n".join(r.line() for r in rows))
    assert command(monkeypatch, "--report", "--out", path) == status
    assert ("NOT met" in capsys.readouterr().out) is bool(status)


def test_scope_of_the_exit_status_can_be_the_mean(row, tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    best = {10: 1.0, 20: 1.0, 100: 1.0}
    rows = [row(network="tv-mri", image=k, best=best if k else {**best, 20: 0.95}) for k in range(10)]
    rows += [row("APGD", "published", network="tv-mri", image=k, best={10: 0.5}) for k in range(10)]
    path.write_text("\n".join(r.line() for r in rows))
    assert command(monkeypatch, "--report", "--out", path) == 1
    assert command(monkeypatch, "--report", "--judge", "mean", "--out", path) == 0


def test_report_of_nothing_is_wrong_use(tmp_path, monkeypatch):
    assert command(monkeypatch, "--report", "--out", tmp_path / "none.jsonl") == 2


def test_second_run_does_only_what_is_missing(tmp_path, monkeypatch, capsys):
    """With the work itself replaced, in one process: the plan, the record and the resuming."""
    import concurrent.futures

    from benchmarks.strength import jobs

    class Here(concurrent.futures.ThreadPoolExecutor):
        def __init__(self, workers, *, mp_context, initializer):
            super().__init__(1)

    def pretend(job):
        return [
            jobs.Row(
                **{k: getattr(job, k) for k in ("network", "size", "radius", "family", "label")},
                image=k,
                best=best_of(job),
                clean=1.0,
                evaluations=1,
                seconds=0.0,
                problem=digest,
                code=job.code,
            )
            for k in job.images
        ]

    def best_of(job):
        return {300: 1.0} if job.label.startswith("long") else dict.fromkeys(job.budgets, 1.0)

    monkeypatch.setattr(jobs, "code_of", lambda family: "c")
    digest = search_strength.subjects.load("tv-mri", 16, (0,)).digest
    monkeypatch.setattr(search_strength, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(search_strength.jobs, "execute", pretend)
    path = tmp_path / "deep" / "record.jsonl"
    asked = ("--out", path, "--networks", "tv-mri", "--size", 16, "--radii", 0.02, "--batch", 2)
    settings = len(search_strength.methods.settings())
    assert command(monkeypatch, *asked, "--images", 3) == 0
    assert f"{2 * settings} jobs to do, 0 results there" in capsys.readouterr().out
    assert command(monkeypatch, *asked, "--images", 3) == 0
    assert f"0 jobs to do, {3 * settings} results there" in capsys.readouterr().out
    assert command(monkeypatch, *asked, "--images", 4) == 0
    assert f"{settings} jobs to do" in capsys.readouterr().out
    assert len(jobs.read(path)) == 4 * settings
