import numpy as np

from stabtest.report import panels
from stabtest.report.anchors import worst_case_panels
from stabtest.report.view import build


def blocks(document, kind):
    return [block for section in build(document).sections for block in section.blocks if type(block).__name__ == kind]


def test_the_case_with_the_largest_damage_comes_first(full):
    rows = [row for row in full.worst_case.rows if row.method == "unet-mri" and row.radius == 0.05]
    worst = max(rows, key=lambda row: row.relative_change)
    assert worst_case_panels(full)[0][2].case == worst.case


def test_worst_median_and_random_are_three_cases(full):
    shown = worst_case_panels(full)
    assert [why for _, why, _ in shown] == ["worst case", "median case", "random case"]
    assert len({group.case for _, _, group in shown}) == 3


def test_the_words_follow_the_pictures_that_are_there(full):
    """An audit stores pictures of the worst and the median case only: nothing random is shown or claimed."""
    kept = {group.case for _, why, group in worst_case_panels(full) if why != "random case"}
    less = full.model_copy(update={"pictures": [p for p in full.pictures if p.section != "worst_case" or p.case in kept]})
    assert [why for _, why, _ in worst_case_panels(less)] == ["worst case", "median case"]
    notes = [block.text for block in blocks(less, "Paragraph") if "pictures of" in block.text]
    assert any("pictures of 2 at the largest radius" in text for text in notes)
    assert not any("random" in text for text in notes)


def test_the_random_case_depends_on_the_document_alone(full):
    again = type(full).model_validate_json(full.model_dump_json())
    assert [group.case for _, _, group in worst_case_panels(again)] == [group.case for _, _, group in worst_case_panels(full)]


def test_rows_are_methods_and_columns_roles(full):
    panel = next(block for block in blocks(full, "Panel") if block.id == "panel-worst-case-0")
    assert [head for head, _, _ in panel.rows] == ["unet-mri", "TV", "zero-filled"]
    assert len(panel.columns) == 5
    assert all(shot is not None and shot.source is not None for _, _, shots in panel.rows for shot in shots)


def test_truth_and_clean_are_borrowed_from_the_quality_section(full):
    assert not any(p.role in ("truth", "clean") for p in full.pictures if p.section == "worst_case")
    panel = next(block for block in blocks(full, "Panel") if block.id == "panel-worst-case-0")
    assert panel.columns[:2] == ("Truth", "Clean reconstruction")


def test_a_window_that_differs_is_printed_under_its_picture(factory):
    image = np.eye(8)
    common = {"section": "quality", "case": "a", "role": "clean"}
    shots = [
        factory.picture(image, method="truth", section="quality", case="a", role="truth"),
        factory.picture(image, method="unet-mri", **common),
        factory.picture(image, method="TV", window=(0.0, 0.3), **common),
    ]
    document = factory.document(pictures=shots, items=factory.items())
    group = panels.groups(document, "quality")[0]
    panel = panels.panel(document, group, ("truth", "clean"), anchor="p", caption="c", notes=lambda _: ())
    scales = {head: [shot.scale for shot in row if shot] for head, _, row in panel.rows}
    assert scales == {"unet-mri": [None, None], "TV": [None, "0 to 0.300"]}


def test_details_of_one_case_are_separate_panels(full):
    assert [group.tag for group in panels.groups(full, "structure")] == ["d5-c0.3-41-52", "d12-c0.3-41-52"]


def test_all_methods_of_a_case_share_one_window(full):
    for block in blocks(full, "Panel"):
        assert all(shot.scale is None for _, _, row in block.rows for shot in row if shot)
