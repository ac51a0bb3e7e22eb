"""One run and its record: JSON lines, one for each image, that a later run of the benchmark resumes from.

A line is addressed by the problem (weights, scan, noise, radius, image), by the method with its settings, and by the source of the
method: what other code found is not taken for what this code finds. Later lines of the same address replace earlier ones.
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch

from benchmarks.strength import methods, subjects

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """One method with its settings against one reconstructor at one radius, on several images.

    ``code`` is the digest of the method's source when the work was planned (`code_of`).
    """

    network: str
    size: int
    radius: float
    images: tuple[int, ...]
    family: str
    label: str
    budgets: tuple[int, ...]
    code: str


@dataclass(frozen=True)
class Row:
    """What one run found on one image.

    Attributes
    ----------
    network, size, radius, image, family, label
        As in `Job`; the radius is relative to the norm of the measurement.
    best
        Largest ``||f(y+e) - f(y)||`` found, by budget.
    clean
        ``||f(y)||``.
    evaluations, seconds
        Evaluations in all, and processor time of one image's share.
    problem, code
        Digests of the problem and of the source of the method.
    """

    network: str
    size: int
    radius: float
    image: int
    family: str
    label: str
    best: dict[int, float]
    clean: float
    evaluations: int
    seconds: float
    problem: str
    code: str

    @property
    def address(self) -> tuple[object, ...]:
        """What this row is the answer to."""
        return (self.network, self.size, self.radius, self.image, self.family, self.label, self.problem, self.code)

    @classmethod
    def parse(cls, line: str) -> Row:
        """From a line of the record."""
        fields = json.loads(line)
        return cls(**{**fields, "best": {int(budget): value for budget, value in fields["best"].items()}})

    def line(self) -> str:
        """As a line of the record."""
        return json.dumps(asdict(self))


def execute(job: Job) -> list[Row]:
    """Run a job, in this process and thread."""
    subject = subjects.load(job.network, job.size, job.images)
    setting = next(s for s in methods.settings() if (s.family, s.label) == (job.family, job.label))
    radius = job.radius * subject.norm
    with torch.no_grad():
        clean = subject.reconstructor(subject.measurement, subject.operator).flatten(1).abs().square().sum(1).sqrt().tolist()
    begin = time.process_time()
    found = setting.run(subject, radius, job.budgets)
    seconds = (time.process_time() - begin) / len(job.images)
    return [
        Row(
            network=job.network,
            size=job.size,
            radius=job.radius,
            image=number,
            family=job.family,
            label=job.label,
            best={budget: values[place] for budget, values in found.best.items()},
            clean=clean[place],
            evaluations=found.evaluations,
            seconds=round(seconds, 3),
            problem=subject.digest,
            code=job.code,
        )
        for place, number in enumerate(job.images)
    ]


def code_of(family: str) -> str:
    """Digest of the source that a method's values depend on beside PyTorch and the problem; comments and docstrings do not count."""
    folder = ROOT / "stabtest" / "search"
    files = sorted(folder.glob("*.py")) if family == "default" else sorted((folder / "published").glob("*.py"))
    total = hashlib.sha256(torch.__version__.encode())
    for file in files:
        state = file.stat()
        total.update(f"{file.name} {_meaning_of(file, state.st_mtime_ns, state.st_size)}\0".encode())
    return total.hexdigest()[:12]


@lru_cache(maxsize=256)
def _meaning_of(file: Path, changed: int, size: int) -> str:
    return hashlib.sha256(meaning(file.read_text(encoding="utf-8")).encode()).hexdigest()


def meaning(source: str) -> str:
    """Python source without comments, layout and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def read(path: Path) -> list[Row]:
    """The rows of a record, the last of each address; none where there is no file. A last line cut off in writing is left out."""
    if not path.exists():
        return []
    rows: dict[tuple[object, ...], Row] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        try:
            row = Row.parse(line)
        except ValueError:
            if number < len(lines) - 1:
                raise
            continue
        rows.pop(row.address, None)  # so that the order is that of the last writing
        rows[row.address] = row
    return list(rows.values())


def latest(rows: Iterable[Row]) -> list[Row]:
    """Of rows in the order written, those of the problem and the code that came last for each network, size, method."""
    problem: dict[tuple[str, int], str] = {}
    code: dict[tuple[str, int, str], str] = {}
    rows = list(rows)
    for row in rows:
        problem[row.network, row.size] = row.problem
    rows = [row for row in rows if row.problem == problem[row.network, row.size]]
    for row in rows:
        code[row.network, row.size, row.family] = row.code
    return [row for row in rows if row.code == code[row.network, row.size, row.family]]


def missing(job: Job, done: dict[tuple[object, ...], Row], *, digest: str) -> Job | None:
    """The job for those of its images that the record lacks, or None."""
    wanted = set(job.budgets) if not job.label.startswith("long") else {methods.LONG}
    left = []
    for image in job.images:
        address = (job.network, job.size, job.radius, image, job.family, job.label, digest, job.code)
        if address not in done or not wanted <= set(done[address].best):
            left.append(image)
    return Job(**{**asdict(job), "images": tuple(left)}) if left else None
