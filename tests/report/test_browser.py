"""The page in a real browser: nothing on the console, no sideways scrolling on a telephone, the comparison works, it prints."""

import re
import shutil
import subprocess

import pytest

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
PROBE = """<script>addEventListener("load", () => {
  const root = document.documentElement;
  console.log("WIDTH " + innerWidth + " " + root.scrollWidth);
  const panel = document.querySelector("#panel-worst-case-0");
  panel.querySelector("button").click();
  const slider = panel.querySelector("input[type=range]"), swap = panel.querySelector(".viewer button");
  console.log("START " + panel.querySelector("output").textContent);
  slider.value = "100"; slider.dispatchEvent(new Event("input"));
  console.log("SLID " + panel.querySelector("output").textContent);
  swap.click();
  console.log("SWAPPED " + panel.querySelector("output").textContent);
  console.log("CLIP " + panel.querySelector(".stage img + img").style.clipPath);
});</script></body>"""


def chromium(tmp_path, *arguments):
    fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    fixed += [
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--hide-scrollbars",
        "--virtual-time-budget=4000",
    ]
    command = [BROWSER, *fixed, f"--user-data-dir={tmp_path / 'profile'}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def console(result):
    return re.findall(r'CONSOLE:\d+\] "(.*?)", source', result.stderr)


def test_the_page_runs_under_its_own_policy_without_a_word_on_the_console(tmp_path, html):
    file = tmp_path / "report.html"
    file.write_text(html, "utf-8")
    result = chromium(tmp_path, "--dump-dom", file.as_uri())
    assert "CONSOLE" not in result.stderr
    assert result.stdout.count("Compare two pictures</button>") >= 3


def test_a_foreign_script_is_refused_by_the_policy(tmp_path, html):
    file = tmp_path / "report.html"
    file.write_text(html.replace("</body>", "<script>document.title = 'taken'</script></body>"), "utf-8")
    result = chromium(tmp_path, "--dump-dom", file.as_uri())
    assert "Content Security Policy" in result.stderr
    assert "<title>taken" not in result.stdout


def test_no_sideways_scrolling_at_320_px_and_the_comparison_follows_its_controls(tmp_path, html):
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", html).replace("</body>", PROBE)
    (tmp_path / "copy.html").write_text(copy, "utf-8")
    # a headless window cannot be narrower than 500 px, a frame can
    frame = tmp_path / "frame.html"
    frame.write_text('<iframe src="copy.html" style="width:320px;height:900px;border:0"></iframe>', "utf-8")
    said = console(chromium(tmp_path, "--dump-dom", frame.as_uri()))
    assert said == [
        "WIDTH 320 320",
        "START left A: Clean reconstruction, unet-mri; right B: Perturbed reconstruction, unet-mri",
        "SLID A: Clean reconstruction, unet-mri",
        "SWAPPED B: Perturbed reconstruction, unet-mri",
        "CLIP inset(0px 0px 0px 0%)",
    ]


def test_it_prints(tmp_path, html):
    file, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    file.write_text(html, "utf-8")
    chromium(tmp_path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", "--generate-pdf-document-outline", file.as_uri())
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    titles = [bytes.fromhex(hexed.decode()).decode("utf-16") for hexed in re.findall(rb"/Title\s*<([0-9A-F]+)>", data)]
    titles += [text.decode("latin1") for text in re.findall(rb"/Title\s*\(([^)]*)\)", data)]
    heads = [re.sub(r"<[^>]*>", "", head).strip() for head in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]
    together = " ".join(titles)
    assert [head for head in heads if head.split(maxsplit=1)[1] not in together] == []
