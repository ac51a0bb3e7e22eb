"""``python -m experiments.zoo_table``: the table of `reconstructors/README.md`.

One row for each reconstructor that makes images of a scan. PSNR in dB, the mean over the forty held-out phantoms that each network's card was
made on (never trained on, never tuned on), beside the direct linear reconstruction and total variation of the same measurements; the last column
but one is the mean paired difference to total variation with its 95 % t interval. Trained networks: what their cards say, written by their
training. Classical methods: reconstructed anew, with the settings that the zoo gives them.

The last column is out of distribution: nothing here was trained or tuned on anything but phantoms. It is the PSNR against the full
reconstruction of three real brain slices (single coil), or of one real tooth (CT), with that of total variation behind it, by the configurations of
`experiments/real_data`; it needs the folder of measurements in ``STABTEST_DATA``, and is empty without.

Classical methods are scored on the first twenty of the phantoms unless ``--images`` says otherwise. ``--write`` puts the rows into the table
between its two marks in the README, in place of those of the same name and scan; else they are printed.
"""

from __future__ import annotations

import argparse
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
from scipy import stats
from torch import Tensor

import reconstructors
from experiments.frame import real
from experiments.training.evaluate import by_ones, held_out
from experiments.training.recipe import HELD_OUT_SEED
from experiments.training.recipes import RECIPES
from reconstructors import zoo
from stabtest.audit.cases import case_names, make_case
from stabtest.audit.config import Config
from stabtest.audit.config.file import load_config
from stabtest.audit.subject import load_reference, load_subjects
from stabtest.metrics import psnr
from stabtest.stability.cases import Case, Method

ROOT = Path(__file__).parents[1]
README = ROOT / "reconstructors" / "README.md"
SCANS = {"mri": "unet-mri", "ct": "fbpconvnet-ell50", "other": "dncnn-denoise"}
"""The recipe whose held-out phantoms a classical method is scored on."""
CLASSICAL = {
    "zero-filled": ("mri",),
    "fbp": ("ct",),
    "cg-sense": ("mri",),
    "sirt": ("ct",),
    "tv": ("mri", "ct"),
    "tgv": ("mri", "ct"),
    "wavelet": ("mri", "ct"),
    "firenet": ("mri",),
    "gaussian-filter": ("other",),
    "median-filter": ("other",),
    "handcrafted-denoiser": ("other",),
}
MARKS = ("<!-- table: python -m experiments.zoo_table --write -->", "<!-- end of table -->")
HEADER = "| reconstructor | scan | parameters | direct | TV | this | over TV [95 %] | real data (TV) |\n|---|---|---|---|---|---|---|---|\n"


def row(name: str, modality: str, *, images: int) -> str:
    """One row."""
    scores = (
        trained_scores(name) if (zoo.HERE / "cards" / f"{name}.json").exists() else classical_scores(name, modality, images)
    )
    mean, low, high = scores["gain"]
    over = "-" if name == "tv" else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    values = [f"{scores[key]:.1f}" for key in ("direct", "tv", "own")]
    real = real_scores(name, modality)
    return f"| {' | '.join([f'`{name}`', scores['scan'], scores['parameters'], *values, over, real])} |\n"


def trained_scores(name: str) -> dict[str, Any]:
    """What the card says."""
    card = zoo.read_card(name)
    held = card["held_out"]
    gain = held["psnr_gain_over_tv_db"]
    return {
        "scan": scan_words(card),
        "parameters": f"{card['parameters']:,}".replace(",", " "),
        "direct": held["psnr_db"]["direct"],
        "tv": held["psnr_db"]["tv"],
        "own": held["psnr_db"]["network"],
        "gain": (gain["mean"], *gain["interval_95"]),
    }


def classical_scores(name: str, modality: str, images: int) -> dict[str, Any]:
    """A method of the zoo with the settings that an audit gives it, on the held-out phantoms of a recipe."""
    recipe = RECIPES[SCANS[modality]]
    operator = recipe.build_operator()
    truth, y = phantoms(recipe.name, images)
    config = Config.model_validate(
        {
            "network": {"zoo": name},
            "operator": {"kind": _kind(modality), "size": recipe.size},
            "reference": {"method": "none"},
        }
    )
    method = load_subjects(config)[0].method
    own = psnr(by_ones(lambda v: method(v, operator), y), truth).double()
    tv = tv_scores(recipe.name, images)
    difference = own - tv
    half = float(stats.t.ppf(0.975, images - 1)) * difference.std().item() / images**0.5
    return {
        "scan": scan_words(zoo.read_card(recipe.name)),
        "parameters": "-",
        "direct": psnr(operator.pseudo_inverse(y), truth).mean().item(),
        "tv": tv.mean().item(),
        "own": own.mean().item(),
        "gain": (difference.mean().item(), difference.mean().item() - half, difference.mean().item() + half),
    }


@cache
def phantoms(scan: str, images: int) -> tuple[Tensor, Tensor]:
    """Held-out truths and measurements of a recipe."""
    recipe = RECIPES[scan]
    return held_out(recipe, recipe.build_operator(), seed=HELD_OUT_SEED, count=images)


@cache
def tv_scores(scan: str, images: int) -> Tensor:
    """PSNR of total variation with the weight of the card."""
    from reconstructors.tv import TotalVariation

    operator = RECIPES[scan].build_operator()
    truth, y = phantoms(scan, images)
    chosen = zoo.read_card(scan)["held_out"]["tv"]
    method = TotalVariation(weight=chosen["weight"], iterations=chosen["iterations"])
    return psnr(by_ones(lambda v: method(v, operator), y), truth).double()


def real_scores(name: str, modality: str) -> str:
    """Mean PSNR on the real images, with that of total variation; a dash where there are none for this scan."""
    if modality not in real.FILES or not real.available():
        return "-"
    size = None
    if (zoo.HERE / "cards" / f"{name}.json").exists():
        if not real.possible(name):
            return "-"
        size = zoo.read_card(name)["size"]
    config = real.config(modality, network=name, size=size)
    cases = [make_case(config, index) for index in range(len(case_names(config)))]
    own = mean_psnr(load_subjects(config)[0].method, cases)
    return f"{own:.1f} ({_real_tv(modality, config.operator.size):.1f})"


@cache
def _real_tv(modality: str, size: int) -> float:
    config = load_config(real.FILES[modality])
    config = config.model_copy(update={"operator": config.operator.model_copy(update={"size": size})})
    cases = [make_case(config, index) for index in range(len(case_names(config)))]
    return mean_psnr(load_reference(config).method, cases)


def mean_psnr(method: Method, cases: list[Case]) -> float:
    """Over the cases, against their full reconstruction."""
    with torch.no_grad():
        found = [psnr(method(case.measurement, case.operator), case.reference_image).item() for case in cases]
    return sum(found) / len(found)


def scan_words(card: dict[str, Any]) -> str:
    """The scan in a few words."""
    operator, size = card["operator"], card["size"]
    if operator["kind"] == "identity":
        return f"denoising {size}, sigma {card['noise_level'] * 255:.0f}/255"
    if operator["kind"] == "radon":
        return f"CT {size}, {operator['angles']} views"
    coils = f", {operator['coils']} coils" if operator.get("coils") else ""
    return f"MRI {size}, {operator['acceleration']:g}x{coils}"


def _kind(modality: str) -> str:
    return {"mri": "fourier", "ct": "radon", "other": "identity"}[modality]


def rows(names: list[str]) -> list[tuple[str, str]]:
    """Names and modalities of the rows asked for, by modality, classical methods first."""
    trained = {
        name: zoo.read_card(name)["modality"]
        for name in reconstructors.names()
        if (zoo.HERE / "cards" / f"{name}.json").exists()
    }
    whole = [(name, kind) for name, kinds in CLASSICAL.items() for kind in kinds] + list(trained.items())
    return sorted(((n, m) for n, m in whole if not names or n in names), key=lambda pair: ("mri", "ct", "other").index(pair[1]))


def written(text: str, made: dict[tuple[str, str], str]) -> str:
    """The README with these rows in its table, in the order of `rows`; what is not in the zoo any more goes out."""
    before, rest = text.split(MARKS[0])
    table, after = rest.split(MARKS[1])
    kept = {found.groups(): f"{line}\n" for line in table.splitlines() if (found := re.match(r"\| `([\w-]+)` \| (\w+)", line))}
    kinds = {"mri": "MRI", "ct": "CT", "other": "denoising"}
    lines = [made.get((name, kind)) or kept.get((name, kinds[kind]), "") for name, kind in rows([])]
    return f"{before}{MARKS[0]}\n{HEADER}{''.join(lines)}{MARKS[1]}{after}"


def main() -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--images", type=int, default=20, help="held-out phantoms for classical methods")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made: dict[tuple[str, str], str] = {}
    for name, modality in rows(arguments.names):
        made[name, modality] = row(name, modality, images=arguments.images)
        print(made[name, modality], end="", flush=True)
    if arguments.write:
        README.write_text(written(README.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
