"""The documentation against the code: keys, defaults, statistics, commands, examples and links."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from stabtest.audit.config import Config
from stabtest.audit.config.file import parse_config
from stabtest.audit.config.settings import MapsSection, MaskSection, RegionSection, TrajectorySection
from stabtest.findings import Criterion
from stabtest.report.statistic_words import STATISTIC_WORDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    **{f"[{n}]": f.annotation for n, f in Config.model_fields.items() if hasattr(f.annotation, "model_fields")},
    "[operator] mask": MaskSection,
    "[operator] trajectory": TrajectorySection,
    "[operator] maps": MapsSection,
    "[worst_case] region": RegionSection,
    "[[criterion]]": Criterion,
}


def section(heading: str, text: str = CONFIGURATION) -> str:
    """What stands under a heading, down to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.S | re.M)
    assert found, f"no heading {heading!r}"
    return found[1]


def documented(heading: str, text: str = CONFIGURATION) -> dict[str, tuple[str, str]]:
    """Key -> (values, default) of the table under a heading."""
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+?) \| ([^|]+?) \|$", section(heading, text), re.M)
    return {key: (values, default) for key, values, default in rows}


def blocks(kind: str) -> list:
    """Fenced blocks whose info string is ``kind``, of every page."""
    pattern = rf"^```{re.escape(kind)}\n(.*?)^```"
    return [
        pytest.param(page, block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(re.findall(pattern, page.read_text(encoding="utf-8"), re.S | re.M), 1)
    ]


def as_toml(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "not set"
    if isinstance(default, BaseModel):
        return "see below"
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_and_no_other(heading):
    assert set(documented(heading)) == set(TABLES[heading].model_fields)


def test_the_report_has_the_same_words_for_every_statistic():
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| .+? \|$", section("Statistics"), re.M)
    assert dict(rows) == dict(STATISTIC_WORDS)


@pytest.mark.parametrize("heading", TABLES)
def test_defaults_are_those_of_the_code(heading):
    fields = TABLES[heading].model_fields
    assert {key: default for key, (_, default) in documented(heading).items()} == {
        key: as_toml(field.get_default(call_default_factory=True)) for key, field in fields.items()
    }


@pytest.mark.parametrize("heading", TABLES)
def test_every_allowed_word_is_listed(heading):
    rows = documented(heading)
    for key, field in TABLES[heading].model_fields.items():
        words = [word for word in get_args(field.annotation) if isinstance(word, str)]
        assert [word for word in words if f'"{word}"' not in rows[key][0]] == [], f"{heading} {key}"


def test_a_missing_key_is_found():
    """Control: the comparison sees a key that the page lacks."""
    text = re.sub(r"^\| `radii` .*\n", "", CONFIGURATION, flags=re.M)
    assert set(TABLES["[worst_case]"].model_fields) - set(documented("[worst_case]", text)) == {"radii"}


def test_statistics_are_those_of_the_code(rows_of_every_kind):
    from stabtest.stability import summarise

    findings = summarise(rows_of_every_kind, roles={"net": "under test", "tv": "reference"})
    listed = re.findall(r"^\| `([a-z_.0-9]+)` \|", section("Statistics"), re.M)
    assert sorted(listed) == sorted({finding.statistic for finding in findings if finding.method == "net"})


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_configurations_load(page, block):
    parse_config(block, name=page.name)


def runnable(page: Path) -> list[str]:
    """Runnable blocks of a page, at their lines; one marked ``continued`` goes on with the names of the one before it."""
    text = page.read_text(encoding="utf-8")
    programs: list[str] = []
    for found in re.finditer(r"^```python runnable( continued)?\n(.*?)^```", text, re.S | re.M):
        if not found[1]:
            programs.append("")
        lines_before = text.count("\n", 0, found.start(2))
        programs[-1] += "\n" * (lines_before - programs[-1].count("\n")) + found[2]
    return programs


@pytest.mark.parametrize(
    ("page", "program"),
    [pytest.param(page, program, id=f"{page.name}-{n}") for page in PAGES for n, program in enumerate(runnable(page), 1)],
)
def test_python_examples_run(page, program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STABTEST_CACHE", str(tmp_path / "cache"))
    exec(compile(program, str(page), "exec", dont_inherit=True), {"__name__": "example"})


def test_there_are_examples_of_each_kind():
    """Control: the patterns above find something."""
    assert len(blocks("toml")) >= 5
    assert sum(len(runnable(page)) for page in PAGES) >= 8


def command_lines() -> list:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shell = (
            "\n".join(re.findall(r"^```sh(?: runnable)?\n(.*?)^```", text, re.S | re.M))
            + "\n"
            + "\n".join(re.findall(r"`(stabtest [^`\n]+)`", text))
            + "\n"
            + "\n".join(
                re.findall(
                    r"^\s*(?:- )?(?:run: )?(stabtest .+)$",
                    "\n".join(re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)),
                    re.M,
                )
            )
        )
        found += [(page.name, line) for line in re.findall(r"^(?:\S*/)?(stabtest .+)$", shell, re.M)]
    return [pytest.param(line, id=f"{page}: {line}") for page, line in dict.fromkeys(found)]


@pytest.mark.parametrize("line", command_lines())
def test_commands_exist_with_their_options(line):
    import typer.main

    from stabtest.cli import app

    words = re.sub(r"[\[\]]", "", line).split()[1:]
    group = typer.main.get_command(app)
    if words[0].isupper() or words[0].startswith("--"):
        return  # "stabtest COMMAND --help"
    command = group.commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert [word for word in words[1:] if word.startswith("--") and word not in known] == []


def test_the_glossary_has_the_words_of_the_report():
    from stabtest.report.wording import GLOSSARY

    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.M)
    assert [row for row in GLOSSARY if row not in rows] == []
    words = [word.casefold() for word, _ in rows[2:]]
    assert words == sorted(set(words))


def test_the_methods_page_lists_its_chapters():
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \[(.+)\]\(#", text, re.M) == re.findall(r"^## (.+)$", text, re.M)


def test_every_test_tells_what_it_assumes_and_does_not_show():
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    chapters = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    tests = {title: body for title, body in chapters if "*Question" in body}
    assert len(tests) >= 12
    for title, body in tests.items():
        for words in ("ssum", "does not show"):
            assert words in body, f"{title}: {words}"


def test_every_command_is_described():
    import typer.main

    from stabtest.cli import app

    table = section("Commands", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert set(re.findall(r"^\| `stabtest (\w+)", table, re.M)) == set(typer.main.get_command(app).commands)


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them from headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_belongs_to_a_table_with_a_heading(page):
    """A blank line inside a table ends it, and the rows below are shown as text."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    lines = [*text.split("\n"), ""]
    starts = [i for i, line in enumerate(lines) if line.startswith("|") and not lines[i - 1].startswith("|")]
    assert [lines[i] for i in starts if not re.fullmatch(r"\|[-:| ]+\|", lines[i + 1])] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(other), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    """Paths of the checkout in backticks, such as `stabtest/search/ascent.py`."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:stabtest|reconstructors|experiments|tests|benchmarks)/[\w/.]+)`", text)
    assert [name for name in named if not (ROOT / name).exists() and "NAME" not in name] == []


@pytest.fixture
def rows_of_every_kind():
    """Rows of two methods and two patients, of every test."""
    from stabtest.findings.detectability_rows import DetectabilityRow
    from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow
    from stabtest.findings.missed_rows import MissedLesionRow
    from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
    from stabtest.findings.physics_rows import BiasRow, TransferRow
    from stabtest.findings.records import Bracket, QualityRow, SamplingRow, StructureRow, WorstCaseRow
    from stabtest.findings.shift_rows import ShiftRow

    rows = []
    for method in ("net", "tv"):
        for case in ("a", "b"):
            where = {"case": case, "method": method}
            rows += [
                QualityRow(**where, nrmse=0.1, psnr=30.0, ssim=0.9),
                WorstCaseRow(
                    **where,
                    domain="measurement",
                    objective="clean",
                    radius=0.1,
                    radius_absolute=1.0,
                    relative_change=0.2,
                    relative_error=0.3,
                    clean_error=0.1,
                    gain=2.0,
                    local_damage=0.2,
                    noise_change_median=0.1,
                    noise_change_max=0.1,
                    noise_draws=2,
                    violation=0.0,
                    evaluations=5,
                    history=[],
                    status="converged",
                ),
                StructureRow(
                    **where,
                    detail="lesion",
                    site="(1, 1)",
                    diameter_px=4.0,
                    contrast=0.2,
                    recovery=0.9,
                    region_nrmse=0.1,
                    outside_energy=0.1,
                    sham_recovery=0.0,
                    data_detectability=10.0,
                    null_space_share=0.1,
                    identifiable=True,
                ),
                MissedLesionRow(
                    **where,
                    row=20.0,
                    column=20.0,
                    diameter_px=4.0,
                    contrast=0.1,
                    aspect=1.0,
                    degrees=0.0,
                    recovery=0.5,
                    search_recovery=0.5,
                    grid_recovery=0.6,
                    half_recovery=0.5,
                    region_nrmse=0.5,
                    outside_energy=0.1,
                    sham_recovery=0.0,
                    data_detectability=10.0,
                    null_space_share=0.1,
                    identifiable=True,
                    reference=None,
                    reference_recovery=None,
                    linear_recovery=1.0,
                    evaluations=5,
                    gradient="autograd",
                ),
                *(SamplingRow(**where, count=n, fraction=n / 10, trained=n == 2, nrmse=0.1, psnr=30.0) for n in (1, 2)),
                *(
                    NoiseRow(
                        **where,
                        level=level,
                        kind="gaussian",
                        noise_std=level,
                        photons=None,
                        relative_norm=0.1,
                        draws=2,
                        nrmse=0.1 * level,
                        nrmse_max=0.1 * level,
                        bias=0.05,
                        spread=0.05,
                        gain=0.5,
                    )
                    for level in (1.0, 2.0)
                ),
                *(
                    TransferRow(
                        **where,
                        quantity="value",
                        diameter_px=16.0,
                        contrast=contrast,
                        sites=1,
                        realisations=2,
                        noise_ratio=1.0,
                        frequencies=[0.0, 0.5],
                        transfer=[1.0, 0.0],
                        step=1.0,
                        f50=0.25,
                        f10=0.45,
                        f50_interval=None,
                        f50_left_out=[0.25, 0.25],
                        left_out="noise realisations",
                        edge_cnr=99.0,
                        data_detectability=99.0,
                        reliable=True,
                    )
                    for contrast in (0.1, 0.5)
                ),
                BiasRow(
                    **where,
                    quantity="value",
                    site="(1, 1)",
                    diameter_px=16.0,
                    realisations=1,
                    truth=1.0,
                    bias=0.1,
                    bias_relative=0.1,
                    bias_hu=None,
                    interval=None,
                ),
                *(
                    DetectabilityRow(
                        **where,
                        observer="npw",
                        site="(1, 1)",
                        diameter_px=4.0,
                        contrast=contrast,
                        realisations=64,
                        training=0,
                        channels=0,
                        auc=auc,
                        auc_interval=None,
                        detectability=None,
                        detectability_interval=None,
                        data_detectability=4.0,
                        ideal_auc=0.99,
                        carried=True,
                    )
                    for contrast, auc in ((0.1, 0.65), (0.2, 0.78), (0.4, 0.94))
                ),
                KernelErrorRow(
                    **where,
                    **dict.fromkeys(
                        (
                            "error",
                            "measured_error",
                            "null_error",
                            "null_share",
                            "truth_null",
                            "null_recovery",
                            "null_invented",
                            "data_consistency",
                            "noise_level",
                            "hallucinated_measured",
                            "hallucinated_null",
                            "missing_null",
                            "hallucination_floor",
                            "hallucination_cut",
                            "hallucination_residual",
                            "projection_residual",
                        ),
                        0.1,
                    ),
                    projection_iterations=0,
                    maps="",
                ),
                KernelTransferRow(
                    **where,
                    family="free",
                    base="truth",
                    objective="excess",
                    size_limit=0.2,
                    data_limit=5.0,
                    data_unit="sigma",
                    bound=2.0,
                    ceiling=1.0,
                    ceiling_residual=0.0,
                    rounding=0.0,
                    kernel_aware=False,
                    gain=3.0,
                    image_distance=0.1,
                    data_distance=0.01,
                    error=0.1,
                    error_with=0.1,
                    data_detectability=5.0,
                    null_space_share=0.9,
                    determined=True,
                    absent=0.0,
                    present=1.0,
                    evaluations=5,
                    starts=1,
                    history=[],
                    status="ended",
                    witness="",
                ),
                RepeatabilityRow(**where, variation="same input", difference=0.0, largest=0.0),
                *(
                    ShiftRow(
                        **where,
                        family=family,
                        shift="rotation",
                        size=None if family == "searched" else 2.0,
                        unit="degrees",
                        nrmse_without=0.1,
                        nrmse=0.2,
                        change=0.1,
                        linear_nrmse_without=0.2,
                        linear_nrmse=0.2,
                        linear_change=0.0,
                        defect=None,
                        linear_defect=None,
                    )
                    for family in ("object", "searched")
                ),
            ]
    for name in ("network alone", "measurement to image"):
        rows.append(
            Bracket(name=name, case="a", lower=1.0, lower_source="", upper=2.0, upper_status="certified", upper_source="")
        )
    return rows
