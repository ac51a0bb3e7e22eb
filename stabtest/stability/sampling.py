"""Does the image get better with more samples? The error below, at and above what the network was trained for.

Antun et al., *On instabilities of deep learning in image reconstruction and the potential costs of AI*, PNAS 117 (2020)
30088-30095, found networks whose images become *poorer* when samples are added beyond those trained with. The same object is
measured with nested masks (or view counts), the noise being the same on common samples and the network unchanged; at each level

    NRMSE = ||f(y_m) - x|| / ||x||.

"More samples, poorer image" is a statement about the mean over patients of the paired change ``NRMSE(m') - NRMSE(m)`` for
``m' > m``. It is made only where the one-sided lower bound of that mean (Student's t on one difference a patient, Bonferroni
over the comparisons of one method) lies above zero. With one patient there is no interval and no statement.

Beside the sweep other *patterns* can be tried with about as many samples as trained with (another kind of mask; other angles): is it the
number of samples that the network depends on, or where they lie? The change of NRMSE is from the trained pattern, of the same object at the same
level of noise. The pattern alone makes a scan harder or easier (a limited angle does for every method), so it is read beside the other
methods.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from torch import Tensor

from stabtest import metrics, statistics
from stabtest.errors import ConfigError, DataError
from stabtest.findings.records import Interval, PatternRow, Picture, SamplingRow, SamplingStatement
from stabtest.networks.magnitude import comparable
from stabtest.stability.cases import Case, Method, Outcome, Progress, Resampled
from stabtest.stability.pictures import picture


@dataclass(frozen=True)
class SamplingTest:
    """The sweep over sampling levels.

    Parameters
    ----------
    levels
        What `Case.resample` is called with: fractions of k-space, or numbers of views, at least two.
    patterns
        What `Case.repattern` is called with, none by default.
    pictures
        Whether to hand back the reconstruction and its error at the fewest, the trained and the most samples.

    Raises
    ------
    ConfigError
        If there are fewer than two different levels, or one is not positive.
    """

    levels: tuple[float, ...]
    pictures: bool = True
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.levels)) < 2 or min(self.levels) <= 0:
            raise ConfigError("sampling: levels", expected="at least two different positive levels", came=str(self.levels))

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """Error at every level.

        Parameters
        ----------
        method, case
            The case must know its truth and how to make the measurement at other levels.
        seed
            Unused: the test draws nothing; there for the sake of one signature.
        progress
            Called after each level.

        Returns
        -------
        Outcome
            One `SamplingRow` a level, fewest samples first, then one `PatternRow` a pattern, the trained one among them.

        Raises
        ------
        DataError
            If the case has no truth, or cannot be measured at another level or with another pattern.
        NetworkError
            If the method cannot reconstruct at a level: it is not able, which is another thing than stable.
        """
        del seed
        if case.resample is None or case.truth is None:
            missing = "a truth" if case.truth is None else "a measurement at other levels"
            raise DataError(f"case {case.name}: sampling sweep", expected=missing, came="none")
        rows: list[SamplingRow] = []
        images: list[tuple[SamplingRow, Picture, Picture]] = []
        for done, level in enumerate(sorted(set(self.levels)), 1):
            again = case.resample(level)
            image = method(again.measurement, again.operator)
            truth = comparable(case.truth, image)
            row = SamplingRow(
                case=case.name,
                method=method.name,
                count=again.count,
                fraction=again.fraction,
                trained=again.trained,
                nrmse=float(metrics.nrmse(image, truth)),
                psnr=float(metrics.psnr(image, truth)),
            )
            rows.append(row)
            if self.pictures:
                images.append((row, *_pictures(method, case, again, image, truth)))
            if progress is not None:
                progress(done, len(set(self.levels)))
        rows.sort(key=lambda row: row.count)
        keep = {rows[0].count, rows[-1].count, *(row.count for row in rows if row.trained)}
        pictures = tuple(p for row, *both in images if row.count in keep for p in both)
        return Outcome((*rows, *self._patterns(method, case, case.truth, rows)), pictures)

    def _patterns(self, method: Method, case: Case, whole: Tensor, rows: list[SamplingRow]) -> list[PatternRow]:
        """Error under each pattern, the trained one first; none where none were asked for."""
        if not self.patterns:
            return []
        trained = next((row for row in rows if row.trained), None)
        if case.repattern is None or trained is None:
            missing = "a measurement with another pattern" if trained is not None else "the trained level among the levels"
            raise DataError(f"case {case.name}: other patterns", expected=missing, came="none")
        who = {"case": case.name, "method": method.name}
        own = {"count": trained.count, "fraction": trained.fraction, "nrmse": trained.nrmse, "psnr": trained.psnr}
        found = [PatternRow.model_validate({**who, **own, "pattern": "trained", "change": 0.0})]
        for name in self.patterns:
            again = case.repattern(name)
            image = method(again.measurement, again.operator)
            truth = comparable(whole, image)
            nrmse, psnr = float(metrics.nrmse(image, truth)), float(metrics.psnr(image, truth))
            figures = {"count": again.count, "fraction": again.fraction, "nrmse": nrmse, "psnr": psnr}
            found.append(PatternRow.model_validate({**who, **figures, "pattern": name, "change": nrmse - trained.nrmse}))
        return found


def statements(
    rows: Iterable[SamplingRow], *, patients: Mapping[str, str] | None = None, level: float = statistics.LEVEL
) -> list[SamplingStatement]:
    """Paired comparisons of neighbouring levels, and of the trained level with the most samples, for each method.

    Parameters
    ----------
    rows
        Rows of any methods and cases.
    patients
        Case name to patient; a case that is not in it is its own patient.
    level
        One-sided simultaneous level of the bounds of one method.

    Returns
    -------
    list of SamplingStatement
        ``change`` is the mean paired change of NRMSE, positive where more samples gave a poorer image.

    Examples
    --------
    >>> def row(case, count, nrmse):
    ...     fixed = {"method": "net", "fraction": count / 100, "trained": count == 25, "psnr": 30}
    ...     return SamplingRow(case=case, count=count, nrmse=nrmse, **fixed)
    >>> found = statements([row("a", 25, 0.10), row("a", 50, 0.15), row("b", 25, 0.11), row("b", 50, 0.162)])
    >>> found[0].statement.split(": ")[0], round(found[0].change, 3), round(found[0].interval.lower, 4)
    ('More samples, poorer image', 0.051, 0.0447)
    """
    groups: dict[str, list[SamplingRow]] = {}
    for row in rows:
        groups.setdefault(row.method, []).append(row)
    return [statement for method, group in groups.items() for statement in _of_method(method, group, patients or {}, level)]


def _pictures(method: Method, case: Case, again: Resampled, image: Tensor, truth: Tensor) -> tuple[Picture, Picture]:
    draw = partial(picture, case=case, section="sampling", method=method.name, label=f"n{again.count}", count=again.count)
    words = f"{method.name}, {again.count} samples ({_percent(again.fraction)})"
    return (
        draw(image, role="clean", kind="anatomy", caption=words),
        draw(image - truth, role="difference", kind="error", caption=f"{words}: magnitude of the error"),
    )


def _of_method(method: str, rows: list[SamplingRow], patients: Mapping[str, str], level: float) -> list[SamplingStatement]:
    counts = sorted({row.count for row in rows})
    pairs = list(pairwise(counts))
    trained = sorted({row.count for row in rows if row.trained})
    if trained and (trained[-1], counts[-1]) not in pairs and trained[-1] < counts[-1]:
        pairs.append((trained[-1], counts[-1]))
    by_count = {count: {row.case: row for row in rows if row.count == count} for count in counts}
    # A fraction above 1 can only be relative to the trained number of views.
    relative = max(row.fraction for row in rows) > 1
    found: list[SamplingStatement] = []
    for few, many in pairs:
        both = [(by_count[few][case], by_count[many][case]) for case in by_count[few] if case in by_count[many]]
        if not both:
            continue
        changes = [(patients.get(one.case, one.case), other.nrmse - one.nrmse) for one, other in both]
        values = statistics.by_patient(changes, statistics.mean)
        # All bounds of one method hold together at the stated level.
        interval = statistics.simultaneous(statistics.mean_interval, values, len(pairs), level=level)
        low, high = (statistics.mean([pair[k].fraction for pair in both]) for k in (0, 1))
        change = statistics.mean(values)
        found.append(
            SamplingStatement(
                method=method,
                from_fraction=low,
                to_fraction=high,
                change=change,
                interval=interval,
                statement=_sentence(_span(few, many, low, high, relative), change, interval, len(values)),
            )
        )
    return found


def _span(few: int, many: int, low: float, high: float, relative: bool) -> str:
    shares = f"({_percent(low)} to {_percent(high)}{' of the trained number' if relative else ''})"
    return f"from {few} to {many} {'views' if relative else 'samples'} {shares}"


def _sentence(span: str, change: float, interval: Interval | None, n: int) -> str:
    moved = f"NRMSE {'rose' if change > 0 else 'fell'} by {abs(change):.3g}"
    if not math.isfinite(change):
        return f"{span[0].upper()}{span[1:]} NRMSE is not finite in one patient or more; no interval can be had."
    if interval is None or interval.lower is None or interval.upper is None:
        return f"{span[0].upper()}{span[1:]} {moved} in one patient; no interval can be had."
    bounds = f"({interval.level * 100:.0f} % bounds {interval.lower:.3g} to {interval.upper:.3g}, {n} patients)"
    if interval.lower > 0:
        return f"More samples, poorer image: {span} {moved} {bounds}."
    if interval.upper < 0:
        return f"More samples, better image: {span} {moved} {bounds}."
    return f"No change shown {span}: {moved} {bounds}."


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
