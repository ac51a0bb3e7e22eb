import base64
import hashlib
import html as escape
import math
import re
import statistics
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise

import pytest

from stabtest.findings.document import Document
from stabtest.findings.records import Gate
from stabtest.findings.verdicts import Verdict
from stabtest.report import render
from stabtest.report.numbers import read
from stabtest.report.wording import STATEMENT

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><h1>x",
    "{{ 7*7 }}{% for %}",
    "a\u202eb\u2066c\x00d\x1be",
    "مستشفى ‏&amp;",
    "x" * 10_000,
    "javascript:alert(1)",
]


def close(shown, value):
    shown = read(shown)
    return shown is None if value is None else shown == pytest.approx(value, rel=5.1e-3, abs=0)


def check(record, head, value):
    text, exact = record[head]
    assert close(text, value), (head, text, value)
    assert (exact is None and value is None) or float(exact) == value


def test_tags_close_in_order_and_ids_are_unique(page):
    assert page.faults == []
    assert len(page.ids) == len(set(page.ids))


def test_every_link_leads_somewhere(page):
    links = [attributes["href"] for attributes in page.of("a")] + [attributes["href"] for attributes in page.of("use")]
    assert links
    assert {link for link in links if not (link.startswith("#") and link[1:] in page.ids)} == set()


def test_nothing_is_loaded_from_anywhere(html, page):
    for _, attributes in page.tags:
        for name in ("src", "srcset", "action", "data", "poster", "background", "xlink:href", "style"):
            if name in attributes:
                assert name == "src"
                assert attributes[name].startswith("data:image/png;base64,")
    assert not re.search(r"https?://|url\(|@import|<link|<iframe|<object|<base", html)


def test_no_event_handlers(page):
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_policy_names_the_hash_of_the_style_and_the_script(html, page):
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_statement_is_in_the_header(html):
    assert STATEMENT in html[: html.index("<main")]


def test_sections_are_numbered_as_published(page):
    heads = [text for tag, text in page.headings if tag == "h2"]
    assert [int(head.split()[0]) for head in heads] == list(range(20))


def test_headings_descend_by_one_level(page):
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scoped_heads(html):
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        assert "<caption" in table
        assert not re.search(r"<th(?![^>]*scope=)[ >]", table)


def test_every_picture_has_an_alternative_text(page):
    assert page.of("img")
    assert all(attributes.get("alt") for attributes in page.of("img"))


def test_worst_case_table_equals_the_document(page, full):
    records = {(r["Method"][0], r["Case"][0], float(r["Radius"][1])): r for r in page.records("worst-case-rows")}
    assert len(records) == len(full.worst_case.rows)
    for row in full.worst_case.rows:
        record = records[row.method, row.case, row.radius]
        for head, value in {
            "Radius, absolute": row.radius_absolute,
            "Change found": row.relative_change,
            "Change by noise, median": row.noise_change_median,
            "Change by noise, largest": row.noise_change_max,
            "Clean error": row.clean_error,
            "Error found": row.relative_error,
            "Local damage": row.local_damage,
            "Gain": row.gain,
            "Violation": row.violation,
            "Evaluations": row.evaluations,
            "Noise draws": row.noise_draws,
        }.items():
            check(record, head, value)
        assert record["Search"][0] == row.status
        assert record["Witness"][0] == row.witness


def test_worst_case_by_radius_holds_the_largest_over_cases(page, full):
    for record in page.records("worst-case-by-radius"):
        rows = [r for r in full.worst_case.rows if r.method == record["Method"][0] and r.radius == float(record["Radius"][1])]
        check(record, "Change found, largest", max(r.relative_change for r in rows))
        check(record, "Gain found, largest", max(r.gain for r in rows))
        check(record, "Cases", len(rows))


def test_quality_table_equals_the_document(page, full):
    records = {(r["Method"][0], r["Case"][0]): r for r in page.records("quality-rows")}
    assert len(records) == len(full.quality)
    for row in full.quality:
        record = records[row.method, row.case]
        for head, value in {"NRMSE": row.nrmse, "PSNR (dB)": row.psnr, "SSIM": row.ssim}.items():
            check(record, head, value)


def test_structure_table_equals_the_document(page, full):
    records = page.records("structure-rows")
    assert len(records) == len(full.structure.rows)
    wanted = sorted(full.structure.rows, key=lambda row: ["unet-mri", "TV", "zero-filled"].index(row.method))
    for record, row in zip(records, wanted):
        check(record, "Recovery", row.recovery)
        check(record, "Sham recovery", row.sham_recovery)
        check(record, "Null-space share", row.null_space_share)
        check(record, "Local recovery", row.local_recovery)
        check(record, "Size (px)", row.diameter_px)
        if row.detail == "line pairs":
            check(record, "Modulation", row.modulation)
            check(record, "Size (mm)", row.diameter_mm)


def test_shapes_are_summed_up_where_there_are_several(page, full):
    shown = {(r["Method"][0], r["Detail"][0]): r for r in page.records("structure-shapes")}
    assert set(shown) == {(row.method, row.detail) for row in full.structure.rows}
    for (method, detail), record in shown.items():
        rows = [row for row in full.structure.rows if (row.method, row.detail) == (method, detail)]
        check(record, "Recovery, smallest", min(row.recovery for row in rows if row.identifiable))
        if detail == "line pairs":
            check(record, "Modulation, smallest", min(row.modulation for row in rows))
        else:
            assert record["Modulation, smallest"][0] == "–"


def test_other_patterns_equal_the_document(page, full):
    shown = {(r["Method"][0], r["Pattern"][0]): r for r in page.records("sampling-patterns")}
    for (method, pattern), record in shown.items():
        mine = [row for row in full.sampling.patterns if (row.method, row.pattern.replace("_", " ")) == (method, pattern)]
        check(record, "Change, largest", max(row.change for row in mine))
        check(record, "Cases", len(mine))
    assert ("unet-mri", "variable density") in shown


def test_missed_lesion_table_equals_the_document(page, full):
    shown = {(r["Method"][0], r["Case"][0]): r for r in page.records("missed-lesion-rows")}
    assert len(shown) == len(full.missed_lesion.rows)
    for row in full.missed_lesion.rows:
        record = shown[row.method, row.case]
        check(record, "Least recovery found", row.recovery)
        if row.reference is not None:
            check(record, "Same lesion, TV", row.reference_recovery)
        check(record, "Same lesion, linear", row.linear_recovery)
        check(record, "Grid alone", row.grid_recovery)
        if row.recovery is None:
            assert record["Identifiable"][0] == "none carried by the data"


def test_found_lesions_equal_the_document(page, full):
    shown = {(r["Method"][0], r["Case"][0]): r for r in page.records("missed-lesion-places")}
    for row in full.missed_lesion.rows:
        record = shown[row.method, row.case]
        for head, value in {"Row (px)": row.row, "Contrast": row.contrast, "Long / wide": row.aspect}.items():
            check(record, head, value)
        if row.recovery is not None:
            check(record, "Angle (°)", row.degrees)


def test_a_search_for_missed_lesions_alone_is_shown(factory, full):
    html = render(factory.document(missed_lesion=full.missed_lesion, items=factory.items()))
    section = re.search(r'<section id="structure".*?</section>', html, re.DOTALL).group()
    assert "no details were put into the object" in section
    assert "missed-lesion-rows" in section


def test_sampling_and_layer_tables_equal_the_document(page, full):
    shown = {(r["Method"][0], r["Case"][0], int(r["Count"][1])): r for r in page.records("sampling-rows")}
    for row in full.sampling.rows:
        check(shown[row.method, row.case, row.count], "NRMSE", row.nrmse)
    for record, row in zip(page.records("layers-table"), full.lipschitz.layers, strict=True):
        check(record, "Constant", row.constant)
        check(record, "Cumulative", row.cumulative)
    for record, row in zip(page.records("brackets-table"), full.lipschitz.brackets, strict=True):
        check(record, "Found", row.lower)
        check(record, "Bound", row.upper)


def test_noise_and_repeatability_tables_equal_the_document(page, full):
    shown = {(r["Method"][0], r["Case"][0], float(r["Level"][1])): r for r in page.records("noise-rows")}
    for row in full.noise.rows:
        for head, value in (("NRMSE", row.nrmse), ("Bias", row.bias), ("Spread", row.spread), ("Gain of noise", row.gain)):
            check(shown[row.method, row.case, row.level], head, value)
    found = {(r["Method"][0], r["What was varied"][0]): r for r in page.records("repeatability-rows")}
    for row in full.repeatability.rows:
        check(found[row.method, row.variation], "Change of the image", row.difference)


def test_shift_tables_equal_the_document(page, full):
    section = full.shift
    said = page.records("shift-statements")
    assert len(said) == len(section.statements)
    for one in section.statements:
        (record,) = [r for r in said if r["Method"][0] == one.method and r["Change of NRMSE"][1] == repr(one.change)]
        check(record, "Excess", one.excess)
        assert record["Outcome"][0] == one.outcome
    searched = {(r["Method"][0], r["Case"][0]): r for r in page.records("shift-searched")}
    for row in section.rows:
        if row.family == "searched":
            record = searched[row.method, row.case]
            for head, value in (("Worst found", row.nrmse), ("Change", row.change), ("Linear’s change", row.linear_change)):
                check(record, head, value)
            check(record, "Rotation (degrees)", row.parameters["degrees"])


def test_every_shift_is_shown_as_the_median_over_cases(page, full):
    records = page.records("shift-summary")
    assert len(records) == 2 * 8
    (shown,) = [
        r for r in records if r["Method"][0] == factory_net(full) and r["Shift"][0] == "translation columns, 3.5\xa0pixels"
    ]
    mine = [r for r in full.shift.rows if r.method == factory_net(full) and r.shift == "translation_columns"]
    check(shown, "Change", statistics.median(r.change for r in mine))
    check(shown, "Excess", statistics.median(r.change - r.linear_change for r in mine))
    (absent,) = [r for r in records if r["Method"][0] == factory_net(full) and r["Shift"][0] == "coil gain, +10\xa0%"]
    assert absent["Cases"][0] == "0"
    assert "coil gain, +10\xa0% (unet-mri, TV): the operator has no coil maps" in page.text


def factory_net(full):
    return next(item.name for item in full.items if item.role == "under test")


def test_the_linear_reconstruction_stands_beside_the_shifts(html):
    for family, shifts in (("object", 6), ("scan", 1)):  # that have figures
        figure = re.search(rf'<figure id="figure-shift-{family}".*?</figure>', html, re.DOTALL).group()
        assert "direct linear reconstruction" in figure
        assert figure.count("<circle") == shifts + 1  # of the network, and its entry in the legend


def test_in_how_many_shifts_a_method_is_poorer_is_said(page):
    assert "unet-mri: poorer beyond the linear reference under 5 of 7 shifts (intensity, −20\xa0%;" in page.text
    assert "poorer under 1 more, worst small shift found: poorer beyond the linear reference." in page.text


def test_without_the_finer_object_what_stays_where_it_was_is_said(factory, pages, full):
    assert "stays where it was" not in pages.read(render(full)).text
    rows = [row.model_copy(update={"finer": False, "misfit": 2.5}) for row in full.shift.rows]
    other = full.model_copy(update={"shift": full.shift.model_copy(update={"rows": rows})})
    assert "2.50 times" in pages.read(render(other)).text


def test_detectability_tables_equal_the_document(page, full):
    section = full.detectability
    shown = {
        (r["Method"][0], r["Case"][0], r["Observer"][0], float(r["Diameter (px)"][1])): r
        for r in page.records("detectability-thresholds")
    }
    words = {"npw": "fixed template", "cho": "channelised Hotelling"}
    assert len(shown) == len(section.thresholds)
    for row in section.thresholds:
        record = shown[row.method, row.case, words[row.observer], row.diameter_px]
        check(record, "Threshold contrast", row.threshold)
        check(record, "Ideal observer’s", row.ideal_threshold)
    ratios = {(r["Method"][0], r["Observer"][0], float(r["Diameter (px)"][1])): r for r in page.records("detectability-ratios")}
    for row in section.ratios:
        check(ratios[row.method, words[row.observer], row.diameter_px], "Ratio of thresholds", row.ratio)
    records = page.records("detectability-rows")
    assert len(records) == len(section.rows)
    assert {r["Carried"][0] for r in records if float(r["Contrast"][1]) == 0} == {"sham"}


def test_a_method_without_a_threshold_is_in_the_table_and_not_among_the_ratios(page, full):
    blind = [
        r
        for r in page.records("detectability-thresholds")
        if r["Method"][0] == factory_net(full) and r["Diameter (px)"][1] == "3.0"
    ]
    assert blind
    assert {r["Threshold contrast"][1] for r in blind} == {None}
    assert "3.0" not in {
        r["Diameter (px)"][1] for r in page.records("detectability-ratios") if r["Method"][0] == factory_net(full)
    }


def test_detectability_stands_in_section_9_also_without_structural_details(pages, full):
    alone = pages.read(render(full.model_copy(update={"structure": None})))
    assert len(alone.records("detectability-rows")) == len(full.detectability.rows)
    assert "Not run: no details were put into the object." in alone.text


def test_kernel_tables_equal_the_document(page, full):
    section = full.kernel
    shown = {(r["Method"][0], r["Case"][0]): r for r in page.records("kernel-errors")}
    for row in section.errors:
        record = shown[row.method, row.case]
        for head, value in (
            ("Null error", row.null_error),
            ("Hallucinated", row.hallucinated_null),
            ("Recovery", row.null_recovery),
        ):
            check(record, head, value)
    found = {(r["Method"][0], r["Case"][0], r["Detail"][0]): r for r in page.records("kernel-transfers")}
    for row in section.transfers:
        record = found[row.method, row.case, f"{row.family}, on the truth"]
        check(record, "Bound found", row.bound)
        check(record, "Ceiling", row.ceiling)
        assert record["Above it"][0] == ("no" if row.kernel_aware else "yes")
    rings = {r["Method"][0]: r for r in page.records("kernel-sfrc")}
    for row in section.sfrc:
        check(rings[row.method], "Lowest recovery", row.lowest_recovery)
        assert int(rings[row.method]["Flagged"][1]) == row.flagged


def test_without_thresholds_there_is_no_correlation_and_the_page_says_so(pages, full):
    note = "Scanning Fourier ring correlation was not computed"
    other = pages.read(
        render(full.model_copy(update={"kernel": full.kernel.model_copy(update={"sfrc": [], "sfrc_note": note})}))
    )
    assert note in other.text
    assert "kernel-sfrc" not in other.ids


def test_searches_without_a_positive_bound_are_counted_beside_the_figure(html, full):
    figure = re.search(r'<figure id="figure-kernel-0".*?</figure>', html, re.DOTALL).group()
    assert f"{sum(row.bound <= 0 for row in full.kernel.transfers)} searches found no positive bound" in figure


def test_image_quality_tables_equal_the_document(page, full):
    section = full.image_quality
    shown = {(r["Method"][0], r["Case"][0], float(r["Contrast"][1])): r for r in page.records("ttf-rows")}
    assert len(shown) == len(section.transfer)
    for row in section.transfer:
        record = shown[row.method, row.case, row.contrast]
        check(record, "Step", row.step)
        check(record, "f10", row.f10)
        assert record["f50"][0].strip() == "> 0.5" if row.f50 == float("inf") else close(record["f50"][0], row.f50)
        assert record["Gate"][0].startswith("held" if row.reliable else "failed")
    for table, rows, columns in (
        ("nps-rows", section.noise_power, {"Standard deviation": "noise_std", "Mean frequency": "mean_frequency"}),
        ("bias-rows", section.bias, {"Bias": "bias", "Bias over largest pixel": "bias_relative"}),
        (
            "uniformity-rows",
            section.uniformity,
            {"Uniformity index": "uniformity_index", "Integral uniformity": "integral_uniformity"},
        ),
    ):
        records = {(r["Method"][0], r["Case"][0]): r for r in page.records(table)}
        assert len(records) == len(rows)
        for row in rows:
            for head, name in columns.items():
                check(records[row.method, row.case], head, getattr(row, name))


def test_a_curve_whose_gate_failed_is_counted_and_not_drawn(page, html):
    records = {(r["Method"][0], float(r["Contrast"][1])): r for r in page.records("ttf-summary")}
    assert records["TV", 0.02]["Gate held in"][0] == "0 of 4"
    assert records["TV", 0.02]["f50, median"][1] is None
    figure = re.search(r'<figure id="figure-ttf-0".*?</figure>', html, re.DOTALL).group()
    assert "TV, contrast 0.1<" in figure
    assert "TV, contrast 0.02<" not in figure
    assert "4 curves not drawn: the gate failed." in figure
    assert "resolve less at low contrast by construction" in html


def test_a_small_noise_power_has_its_power_of_ten_in_the_label(factory, full):
    section = full.image_quality
    rows = [
        row.model_copy(update={name: [1e-6 * value for value in getattr(row, name)] for name in ("power", "standard_error")})
        for row in section.noise_power
    ]
    html = render(full.model_copy(update={"image_quality": section.model_copy(update={"noise_power": rows})}))
    figure = re.search(r'<figure id="figure-nps".*?</figure>', html, re.DOTALL).group()
    assert ">10⁻⁹ value² pixel²<" in figure  # 0.0024 times 1e-6
    assert ">2<" in figure


def test_hounsfield_units_are_shown_where_there_are_any(factory, pages, full):
    section = full.image_quality
    assert not [head for heads in pages.read(render(full)).heads.values() for head in heads if "(HU)" in head]
    rows = [row.model_copy(update={"bias_hu": 1000 * row.bias}) for row in section.bias]
    shown = pages.read(render(full.model_copy(update={"image_quality": section.model_copy(update={"bias": rows})})))
    for record, row in zip(
        shown.records("bias-rows"), sorted(rows, key=lambda r: ["unet-mri", "TV", "zero-filled"].index(r.method))
    ):
        check(record, "Bias (HU)", row.bias_hu)


def test_without_image_quality_the_page_says_so(factory, pages):
    page = pages.read(render(factory.document()))
    assert "image-quality" in page.ids
    assert "resolution by contrast, noise power, uniformity and bias were not measured" in page.text


def test_the_worst_case_stands_beside_the_noise_of_the_same_norm(html):
    figure = re.search(r'<figure id="figure-noise-worst".*?</figure>', html, re.DOTALL).group()
    assert "worst found" in figure
    assert "noise" in figure


def test_every_upper_bound_is_shown_with_its_value_or_its_reason(page, full):
    for record, row in zip(page.records("bounds-table"), full.lipschitz.bounds, strict=True):
        check(record, "Bound", row.upper)
        assert record["Note"][0] == row.note


def test_floor_and_spectral_normalisation_are_said_in_words(full):
    html = render(full)
    assert "can go below 7.25" in html
    (row,) = full.lipschitz.normalised
    assert f"With the constant of {row.layer} at most 1" in html


def test_without_floor_there_is_no_word_of_it(full):
    brackets = [bracket.model_copy(update={"floor": None}) for bracket in full.lipschitz.brackets]
    section = full.lipschitz.model_copy(update={"brackets": brackets})
    assert "can go below" not in render(full.model_copy(update={"lipschitz": section}))


def test_summary_table_equals_the_document(page, full):
    judged = [finding for finding in full.findings if finding.criterion is not None]
    records = {r["Criterion"][0]: r for r in page.records("summary-table")}
    assert set(records) == {criterion.id for criterion in full.criteria}
    for finding in judged:
        record = records[finding.criterion.id]
        check(record, "Estimate", finding.value)
        check(record, "n", finding.n)
        assert float(record["Limit"][1]) == finding.criterion.limit
        assert record["Verdict"][0] == finding.verdict.value


def test_a_method_that_all_verdicts_are_about_is_named_once(full):
    judged = [finding for finding in full.findings if finding.criterion is not None]
    assert {finding.method for finding in judged} == {"unet-mri"}
    other = judged[0].model_copy(update={"method": "tv"})
    for findings, column in ((judged, False), ([other, *judged[1:]], True)):
        html = render(full.model_copy(update={"findings": findings}))
        table = html[html.index('id="summary-table"') :]
        assert ("Method</th>" in table[: table.index("</thead>")]) is column
        assert ("Verdict for each criterion, unet-mri" in html) is not column


def test_a_criterion_without_a_finding_is_not_run(page):
    record = next(r for r in page.records("summary-table") if r["Criterion"][0] == "C5")
    assert record["Verdict"][0] == Verdict.NOT_RUN.value


def test_verdicts_differ_in_shape_and_word_and_not_only_in_colour(html, page):
    shapes = {a["href"] for a in page.of("use")}
    assert {"#v-fail", "#v-pass", "#v-inconclusive", "#v-not-run"} <= shapes
    for shape in shapes:
        body = re.search(rf'<symbol id="{shape[1:]}".*?</symbol>', html).group()
        others = [re.search(rf'<symbol id="{other[1:]}".*?</symbol>', html).group() for other in shapes - {shape}]
        assert body.split(">", 1)[1] not in [other.split(">", 1)[1] for other in others]


def test_each_verdict_links_to_its_numbers_its_picture_its_method_and_the_command(html):
    item = re.search(r'<li class="k-fail">.*?</li>', html, re.DOTALL).group()
    assert {'href="#worst-case"', 'href="#command"'} <= set(re.findall(r'href="[^"]*"', item))
    assert re.search(r'href="#panel-worst-case-\d"', item)


def test_the_method_of_a_verdict_says_what_its_statistic_is_and_links_to_the_settings(html, page):
    item = re.search(r'<li class="k-fail">.*?</li>', html, re.DOTALL).group()
    anchor = re.search(r'href="#(statistic-\d+)" aria-label="Method', item).group(1)
    row = re.search(rf'<th scope="row" id="{anchor}".*?</tr>', html, re.DOTALL).group()
    assert "Geometric mean of found change over that of the reference" in row or "Largest relative change found" in row
    assert 'href="#method-worst-case"' in row
    assert "radii = [0.005, 0.01" in dict((r["Test"][0], r["Settings"][0]) for r in page.records("tests-table"))["worst case"]


def test_the_picture_of_a_witness_is_that_of_its_case(html, full):
    finding = next(f for f in full.findings if f.witness == "w.head-002.unet-mri.r0.05")
    item = re.search(rf"<li class=\"k-[a-z]+\">(?:(?!</li>).)*{re.escape(finding.sentence)}", html, re.DOTALL).group()
    anchor = re.search(r"#(panel-worst-case-\d)", item).group(1)
    caption = re.search(rf'id="{anchor}-caption"><bdi>([^<]*)', html).group(1)
    assert "head-002" in caption


def test_the_guaranteed_bound_is_in_the_plot_of_the_gain(html, full):
    figure = re.search(r'<figure id="figure-gain".*?</figure>', html, re.DOTALL).group()
    assert "guaranteed bound" in figure


def test_no_guaranteed_bound_is_drawn_where_one_is_infinite(factory, full):
    section = full.lipschitz.model_copy(
        update={"brackets": [b.model_copy(update={"upper": float("inf")}) for b in full.lipschitz.brackets]}
    )
    figure = re.search(
        r'<figure id="figure-gain".*?</figure>', render(full.model_copy(update={"lipschitz": section})), re.DOTALL
    ).group()
    assert "no finite guaranteed bound" in figure
    assert ": guaranteed bound" not in figure


def test_a_bound_on_a_ball_is_named_but_not_drawn(full):
    brackets = [b.model_copy(update={"upper": 3.0, "upper_status": "on a ball"}) for b in full.lipschitz.brackets]
    section = full.lipschitz.model_copy(update={"brackets": brackets})
    html = render(full.model_copy(update={"lipschitz": section}))
    figure = re.search(r'<figure id="figure-gain".*?</figure>', html, re.DOTALL).group()
    assert "bounds on a ball hold around one measurement each" in figure
    assert ": guaranteed bound" not in figure


def test_the_limit_of_a_gate_has_a_direction(factory):
    gate = {"subject": "net", "passed": True, "value": 0.9, "limit": 0.1, "detail": ""}
    gates = [Gate(name=name, **gate) for name in ("reacts", "gradient", "determinism")]
    html = render(factory.document(gates=[*gates, Gate(name="runs", **{**gate, "limit": None, "value": None})]))
    table = re.search(r'id="gates-table".*?</table>', html, re.DOTALL)
    assert re.findall(r">((?:at least|at most|more than) [\d.]+)<", table.group()) == [
        "at least 0.1",
        "more than 0.1",
        "at most 0.1",
    ]


def test_a_gate_without_a_number_is_not_said_to_lack_one(factory):
    gate = Gate(name="runs", subject="net", passed=True, value=None, limit=None, detail="")
    table = re.search(r'id="gates-table".*?</table>', render(factory.document(gates=[gate])), re.DOTALL)
    assert "not available" not in table.group()
    assert table.group().count('class="num missing"><bdi>–</bdi>') == 2


def test_every_number_in_every_table_shows_its_exact_value(html):
    """A cell carries the value of the document (`data-value`, compared with it table by table above); what it shows is that, rounded."""
    cells = re.findall(r'<t[dh][^>]*class="num[^"]*"[^>]*data-value="([^"]*)"[^>]*>(?:<svg.*?</svg>)?([^<]*)<', html)
    assert len(cells) > 1000
    beyond = [(exact, shown.strip()[5:]) for exact, shown in cells if shown.strip().startswith("&gt; ")]
    assert all(float(exact) > read(shown) for exact, shown in beyond)  # a threshold beyond the contrasts measured
    plain = [(exact, shown.strip()) for exact, shown in cells if not shown.strip().startswith("&gt; ")]
    assert [(exact, shown) for exact, shown in plain if not is_rounded(shown, float(exact))] == []
    without = re.findall(r'<td[^>]*class="num(?! missing)[^"]*"(?![^>]*data-value)[^>]*>[^<]*\d', html.partition("<main")[2])
    assert without == []


def is_rounded(text, value):
    """Whether a text is a value to within half of its last digit, of which there are at least two (one of a whole number)."""
    shown = read(text)
    if shown is None or shown == value or (math.isnan(shown) and math.isnan(value)):
        return shown is not None
    mantissa, _, power = text.replace("\u202f", "").partition(" × 10")
    places = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0) - places)
    return abs(shown - value) <= 0.5000001 * unit and abs(shown) >= 9.9 * unit


@pytest.mark.parametrize(("text", "value"), [("0.123", 0.125), ("0.1", 0.104), ("2.50 × 10⁻⁷", 2.4e-7), ("not available", 1.0)])
def test_a_number_that_is_not_its_value_is_noticed(text, value):
    """Control."""
    assert not is_rounded(text, value)


FORBIDDEN = r"\b(safe|prov(?:e|es|en|ed)|certif(?:y|ies|ication)|risk-free|harmless)\b"


@pytest.mark.parametrize("package", ["stabtest.report", "stabtest.audit.criteria_profiles"])
def test_no_text_of_the_package_promises_what_a_search_cannot(package):
    """Strings in the source, not only those that a test document happens to show."""
    for file in files(package).rglob("*") if hasattr(files(package), "rglob") else files(package).iterdir():
        if file.suffix in (".py", ".toml", ".j2", ".js"):
            text = file.read_text("utf-8")
            quoted = re.findall(r'"((?:[^"\\\n]|\\.)*)"', text) if file.suffix == ".py" else [text]
            said = [
                words for words in quoted if re.search(FORBIDDEN, words, re.IGNORECASE) and "does not establish" not in words
            ]
            assert said == [], file.name


def test_wording(page, factory, pages):
    for text in (page.text, pages.read(render(factory.document())).text):
        without = re.sub(r"\bcertified\b", "", text) if "Lipschitz" in text else text
        assert not re.search(r"\b(safe|proves?|proven|certif\w+|guarantees)\b", without, re.IGNORECASE)
    assert "no violation found within the stated budget" in page.text


def test_certified_is_only_the_status_of_a_bound(html):
    cells = re.findall(r"<td[^>]*><bdi>certified</bdi></td>", html)
    assert len(re.findall("certified", html)) == len(cells)


def test_sections_that_were_not_run_say_so(factory):
    html = render(factory.document())
    for anchor in ("quality", "worst-case", "structure", "sampling", "noise", "lipschitz", "null-space", "shift"):
        section = re.search(rf'<section id="{anchor}".*?</section>', html, re.DOTALL).group()
        assert "Not run" in section


def test_empty_lists_are_shown_as_empty(factory):
    html = render(factory.document())
    for words in ("No deviations from the plan", "No unit of the audit failed", "no cases", "No criterion was set"):
        assert words in html


def test_non_numbers_are_shown(factory, pages, full):
    row = full.worst_case.rows[0].model_copy(
        update={"relative_change": float("nan"), "gain": float("inf"), "relative_error": None}
    )
    document = full.model_copy(update={"worst_case": full.worst_case.model_copy(update={"rows": [row]})})
    (record,) = pages.read(render(document)).records("worst-case-rows")
    assert record["Change found"][0] == "NaN (not a number)"
    assert record["Gain"][0] == "∞ (not finite)"
    assert record["Error found"][0] == "not available"


def test_two_hundred_criteria_are_all_listed(factory, pages, full):
    many = [full.criteria[0].model_copy(update={"id": f"K{k}"}) for k in range(200)]
    page = pages.read(render(factory.document(criteria=many)))
    assert len(page.tables["summary-table"]) == 200
    assert page.faults == []


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:12]) for text in HOSTILE])
def test_hostile_strings_stay_text(factory, pages, text):
    document = replaced(factory.full(cases=2, size=16), text)
    html = render(document)
    page = pages.read(html)
    assert page.faults == []
    assert len(page.of("script")) == 1
    assert len(page.of("h1")) == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not re.search("[\x00\x1b\u202e\u2066]", html)
    assert not [a for a in page.of("a") if not a["href"].startswith("#")]


def replaced(document, text):
    """The document with every free string replaced; what has a fixed vocabulary stays."""
    title = {"id": text, "title": text, "command": text, "limitations": [text], "deviations": [text], "created": text}
    items = [
        item.model_copy(update={"description": text, "settings": {text: text}, "card": {text: [text]}})
        for item in document.items
    ]
    items[0] = items[0].model_copy(update={"name": text, "weights_file": text})
    rename = {"case": text, "method": text}
    worst = document.worst_case.model_copy(
        update={
            "rows": [row.model_copy(update={**rename, "witness": text}) for row in document.worst_case.rows],
            "budget": text,
        }
    )
    structure = document.structure.model_copy(
        update={"rows": [row.model_copy(update={**rename, "detail": text, "site": text}) for row in document.structure.rows]}
    )
    layers = [row.model_copy(update={"name": text, "operation": text}) for row in document.lipschitz.layers]
    brackets = [bracket.model_copy(update={"name": text}) for bracket in document.lipschitz.brackets]
    return document.model_copy(
        update={
            **title,
            "items": items,
            "worst_case": worst,
            "structure": structure,
            "lipschitz": document.lipschitz.model_copy(update={"layers": layers, "brackets": brackets}),
            "pictures": [p.model_copy(update={**rename, "caption": text}) for p in document.pictures],
            "configuration": {text: {text: text}},
            "operator": {text: text},
            "data": document.data.model_copy(update={"source": text, "notes": [text], "files": {text: text}}),
            "criteria": [criterion.model_copy(update={"rationale": text}) for criterion in document.criteria],
            "findings": [f.model_copy(update={"sentence": text, "reason": text, "witness": text}) for f in document.findings],
        }
    )


def test_the_text_of_a_hostile_title_is_shown_in_full(factory):
    html = render(factory.document(title=HOSTILE[0]))
    assert html.count(escape.escape(HOSTILE[0])) >= 2


def test_the_same_document_gives_the_same_page(full, html):
    assert render(Document.model_validate_json(full.model_dump_json())) == html


def test_templates_and_assets_are_in_the_package():
    package = files("stabtest.report")
    for name in ("style.css", "script.js", "templates/report.html.j2", "templates/blocks.html.j2", "templates/shapes.html.j2"):
        assert package.joinpath(name).is_file()


def test_rendering_does_not_load_torch_or_matplotlib():
    code = "import sys, stabtest.report; print(sorted({'torch', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_report_imports_findings_and_errors_only():
    for file in _modules(files("stabtest.report")):
        for name in re.findall(r"^\s*(?:from|import) (stabtest[\w.]*)", file.read_text("utf-8"), re.MULTILINE):
            assert re.match(r"stabtest\.(report|findings|errors)\b", name), (file.name, name)


def _modules(folder):
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules(entry)
        elif entry.name.endswith(".py"):
            yield entry


def worst_case_page(full, **changes):
    section = full.worst_case.model_copy(update=changes)
    return render(full.model_copy(update={"worst_case": section}))


def test_spread_and_status_of_every_search_are_shown(full, page):
    records = {(r["Method"][0], r["Case"][0], float(r["Radius"][1])): r for r in page.records("worst-case-rows")}
    for row in full.worst_case.rows:
        record = records[row.method, row.case, row.radius]
        assert record["Search"][0] == row.status
        check(record, "Spread", row.spread)
    assert "a search of one path cannot say that" in page.text


def test_a_radius_is_labelled_with_its_unit_norm_and_region(full, html):
    assert "relative radius ‖e‖/‖y‖" in html
    shown = worst_case_page(full, unit="noise", norm="linf", region="coil 2 (from 0)", nonnegative=True)
    assert "radius max |e|/σ, multiples of the noise" in shown
    assert "every sample by at most the radius; only coil 2 (from 0)" in shown
    assert "stays non-negative" in shown
    assert "relative radius ‖e‖/‖y‖" not in shown


def test_criteria_that_came_after_the_results_are_said_above_the_verdicts(full, html):
    late = render(full.model_copy(update={"exploratory": True, "criteria_profile": "antun-2020/1"}))
    summary = re.search(r'<section id="summary".*?</section>', late, re.DOTALL).group()
    assert summary.index("exploratory") < summary.index('<ul class="tally">')
    assert "after results were known" in re.search(r'<section id="criteria".*?</section>', late, re.DOTALL).group()
    assert "exploratory" not in html


def test_the_profile_of_the_criteria_is_named(full):
    section = re.search(
        r'<section id="criteria".*?</section>', render(full.model_copy(update={"criteria_profile": "a/1"})), re.DOTALL
    )
    assert "<bdi>a/1</bdi>" in section.group()
    assert "the user&#39;s own" in render(full)


def test_the_head_of_the_page_counts_the_deviations(full):
    one = render(full.model_copy(update={"deviations": ["x"]}))
    assert "1 entry in section 15" in re.search(r"<header.*?</header>", one, re.DOTALL).group()
