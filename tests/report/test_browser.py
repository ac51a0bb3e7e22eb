"""The page in a real browser: nothing asked for, nothing on the console, accessible, usable by keys alone, on a telephone and on paper."""

import base64
import importlib.resources
import importlib.util
import re
import shutil

import numpy as np
import pytest

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
PANEL = 'document.querySelector("#panel-worst-case-0")'
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory, cdp):
    opened = cdp.Browser(BROWSER, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory, html):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html, "utf-8")
    return file.as_uri()


def compare(browser):
    """Open the viewer of the first panel."""
    browser.run(f"{PANEL}.querySelector(':scope > button').click()")
    browser.until(f"!!{PANEL}.querySelector('.viewer')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_asked_for_and_nothing_is_said(browser, report, dark):
    browser.open(report, dark=dark)
    compare(browser)
    assert browser.requests == [report]
    assert browser.said == []


def test_a_foreign_script_is_refused_by_the_policy(browser, tmp_path, html):
    """Control: what the page's own policy does not name does not run, and is heard on the console."""
    file = tmp_path / "report.html"
    file.write_text(html.replace("</body>", "<script>document.title = 'taken'</script></body>"), "utf-8")
    browser.open(file.as_uri())
    browser.until("document.readyState === 'complete'")
    assert browser.run("document.title") != "taken"
    assert any("Content Security Policy" in str(event) for event in browser.said)


def violations(browser, part="html", rules=None):
    """What axe-core (Deque, MPL-2.0) finds wrong with the page as it stands, or with a part of it."""
    if importlib.util.find_spec("axe_core_python") is None:
        pytest.skip("axe-core-python is not installed")
    browser.run(importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8") + ";0")
    found = browser.run(
        f"axe.run('{part}', {{runOnly: {rules or STANDARDS}, resultTypes: ['violations']}}).then((r) => r.violations)"
    )
    return [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found]


@pytest.fixture(scope="module")
def short(tmp_path_factory, factory):
    """Every section, with few rows: axe looks at every cell."""
    from stabtest.report import render

    file = tmp_path_factory.mktemp("short") / "report.html"
    file.write_text(render(factory.full(cases=1, size=16)), "utf-8")
    return file.as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser, short, dark):
    """In the second scheme the colours only: nothing else differs."""
    browser.open(short, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    compare(browser)
    assert violations(browser, rules=["color-contrast"] if dark else None) == []


def test_axe_finds_a_picture_without_words(browser, short):
    """Control."""
    browser.open(short)
    browser.run("document.querySelector('#panel-worst-case-0 img').removeAttribute('alt')")
    assert [name for name, _ in violations(browser, "#panel-worst-case-0")] == ["image-alt"]


def test_no_sideways_scrolling_at_320_px(browser, report):
    browser.open(report, width=320)
    compare(browser)
    assert browser.run("document.documentElement.scrollWidth") == 320
    browser.run("document.querySelector('h2').style.width = '50rem'")  # control
    assert browser.run("document.documentElement.scrollWidth") > 320


def test_the_table_of_verdicts_fits_a_laptop(browser, report):
    """It is not scrolled to reach its last column; the links of every verdict are in the list above."""
    browser.open(report, width=1200)
    hidden = "(() => { const frame = document.querySelector('#summary-table').parentElement; return frame.scrollWidth - frame.clientWidth })()"
    assert browser.run(hidden) == 0
    browser.run("document.querySelector('#summary-table').style.width = '90rem'")  # control
    assert browser.run(hidden) > 0


def test_the_comparison_works_by_keys_alone(browser, report):
    browser.open(report)
    browser.run(f"{PANEL}.querySelector(':scope > button').focus()")
    browser.press("Enter")
    browser.until(f"!!{PANEL}.querySelector('.viewer')")
    said = f"{PANEL}.querySelector('.viewer > output').textContent"
    assert browser.run(said) == "left A: Clean reconstruction, unet-mri; right B: Perturbed reconstruction, unet-mri"
    for _ in range(3):  # A, B, the button
        browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "A/B"
    browser.press(" ")
    assert browser.run(said) == "A: Clean reconstruction, unet-mri" or browser.run(said).startswith("B:")
    browser.press("Tab")
    browser.press("End")
    assert browser.run(said) == "A: Clean reconstruction, unet-mri"
    browser.press("Home")
    assert browser.run(said) == "B: Perturbed reconstruction, unet-mri"
    assert browser.run(f"getComputedStyle({PANEL}.querySelector('.over')).clipPath") == "inset(0px 0px 0px 0%)"


def test_zoom_and_pan_move_all_pictures_of_the_panel_alike(browser, report):
    browser.open(report)
    compare(browser)
    moved = f"[...new Set([...{PANEL}.querySelectorAll('.viewer canvas')].map((each) => each.style.transform))]"
    assert browser.run(moved) == [""]
    browser.run(f"{PANEL}.querySelector('.stage').focus()")
    browser.press("+")
    browser.press("ArrowRight")
    (transform,) = browser.run(moved)
    assert re.fullmatch(r"translate\(-\d[\d.]*%, 0%\) scale\(1\.5\)", transform)
    browser.press("0")
    assert browser.run(moved) == [""]


def shown(browser, label):
    """Gray levels of a picture in the viewer."""
    tile = (
        f"[...{PANEL}.querySelectorAll('.tiles figure')].find((f) => f.querySelector('figcaption').textContent === '{label}')"
    )
    text = f"""(() => {{
      const canvas = {tile}.querySelector("canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return [canvas.height, canvas.width, Array.from(data).filter((_, at) => at % 4 === 0)];
    }})()"""
    height, width, levels = browser.run(text)
    return np.array(levels).reshape(height, width)


def picture(document, method):
    group = [p for p in document.pictures if p.method == method and p.role == "perturbed" and p.section == "worst_case"]
    return max(group, key=lambda each: each.radius or 0).decode()


def test_the_viewer_opens_with_the_printed_window(browser, report, full):
    browser.open(report)
    compare(browser)
    low, high = map(float, browser.run(f"{PANEL}.querySelector('img[data-label^=Perturbed]').dataset.window").split())
    levels = shown(browser, "Perturbed reconstruction, unet-mri")
    candidates = [p for p in full.pictures if p.role == "perturbed" and p.method == "unet-mri"]
    expected = [np.clip((p.decode() - low) / (high - low), 0, 1) * 255 for p in candidates]
    assert min(np.abs(levels - each).max() for each in expected) <= 0.51


def test_a_narrow_window_shows_what_8_bits_do_not_hold(browser, report):
    """The windowed picture is made of the 16-bit values: within a hundredth of the range there are more than three levels."""
    browser.open(report)
    compare(browser)
    before = shown(browser, "Perturbed reconstruction, unet-mri")
    at = np.median(before[before > 20]) / 255
    low, high = map(float, browser.run(f"{PANEL}.querySelector('img[data-label^=Perturbed]').dataset.window").split())
    sliders = f"[...{PANEL}.querySelectorAll('.viewer input[aria-label^=Image]')]"
    top = browser.run(f"{sliders}.length")
    assert top == 2
    words = browser.run(f"{PANEL}.querySelectorAll('.viewer .controls')[2].querySelector('output').textContent")
    assert words.split(" to ")[0] == f"{low:g}"
    middle = at * (high - low) + low
    browser.run(
        f"""(() => {{ const [from, to] = {sliders}; const range = {high - low};
        to.value = String(Number(to.value) * {(middle + 0.005 * (high - low) - low) / (high - low)}); to.dispatchEvent(new Event("input"));
        from.value = String(Number(to.value) * 0.98); from.dispatchEvent(new Event("input")); }})()"""
    )
    after = shown(browser, "Perturbed reconstruction, unet-mri")
    inside = (after > 0) & (after < 255)
    assert len(np.unique(after[inside])) > 3 * len(np.unique(before[inside]))
    browser.run(f"{PANEL}.querySelector('.viewer button[aria-label^=\"Image: window\"]').click()")
    assert np.array_equal(shown(browser, "Perturbed reconstruction, unet-mri"), before)


def test_verdicts_and_pictures_are_there_without_a_script(browser, report):
    browser.open(report, scripts=False)
    visible = "(element) => element.checkVisibility()"
    verdicts = browser.run(f"[...document.querySelectorAll('#summary .verdicts .verdict')].filter({visible}).length")
    assert verdicts == browser.run("document.querySelectorAll('#summary .verdicts li').length") > 0
    assert browser.run(f"[...document.querySelectorAll('.pictures img')].every({visible})")
    assert browser.run("document.querySelectorAll('button').length") == 0


def test_each_verdict_is_two_clicks_from_picture_numbers_method_and_command(browser, report):
    browser.open(report)
    links = browser.run(
        "[...document.querySelectorAll('#summary .verdicts li')].map((i) => [...i.querySelectorAll('a')].map((a) => a.hash))"
    )
    assert links
    for targets in links:
        for target in targets:
            place = f"document.querySelector('{target}')"
            browser.run(f"document.querySelector('#summary a[href=\"{target}\"]').click()")
            browser.until(f"location.hash === '{target}'")
            assert browser.run(f"{place}.checkVisibility() && Math.abs({place}.getBoundingClientRect().top) < innerHeight"), (
                target
            )
        assert "#command" in targets
        assert any(target.startswith("#statistic-") for target in targets)


def test_it_prints_with_its_headings_and_without_the_viewer(browser, short, html):
    browser.open(short)
    compare(browser)
    data = base64.b64decode(browser("Page.printToPDF", generateDocumentOutline=True, generateTaggedPDF=True)["data"])
    assert data.startswith(b"%PDF")
    titles = [bytes.fromhex(hexed.decode()).decode("utf-16") for hexed in re.findall(rb"/Title\s*<([0-9A-F]+)>", data)]
    titles += [text.decode("latin1") for text in re.findall(rb"/Title\s*\(([^)]*)\)", data)]
    heads = [re.sub(r"<[^>]*>", "", head).strip() for head in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]
    together = " ".join(titles)
    assert [head for head in heads if head.split(maxsplit=1)[1] not in together] == []
    browser("Emulation.setEmulatedMedia", media="print")
    assert not browser.run(f"{PANEL}.querySelector('.viewer').checkVisibility()")
    assert not browser.run("document.querySelector('#card-json-0').closest('details').checkVisibility()")
    assert browser.run("document.querySelector('#protocol').checkVisibility()")
    browser("Emulation.setEmulatedMedia", media="")
    assert browser.run("document.querySelector('#card-json-0').closest('details').checkVisibility()")


def test_the_comparison_of_audits_is_as_clean(browser, tmp_path, factory):
    from stabtest.report.comparison import Audit, comparison
    from stabtest.report.render import render_page

    small = factory.full(cases=2, size=16)
    page = render_page(comparison([Audit("a", small), Audit("b", small.model_copy(update={"seed": 9}))]))
    (tmp_path / "index.html").write_text(page, "utf-8")
    address = (tmp_path / "index.html").as_uri()
    browser.open(address, width=320, dark=True)
    assert browser.run("document.documentElement.scrollWidth") == 320
    assert violations(browser) == []
    assert browser.requests == [address]
    assert browser.said == []
