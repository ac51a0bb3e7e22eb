"""``python -m benchmarks.stable_networks``: what training for stability does to the worst case, at the same quality or not.

For MRI and for CT the U-Net of the zoo, the same network trained on with more noise, trained on with adversarial perturbations, and with
layers of norm 1, and plug-and-play with a 1-Lipschitz denoiser, on the same phantoms (seeds of audits, never trained on): PSNR without
perturbation, the largest relative change of the image that the search of an audit finds with its default budget, and that of total variation.
Means over the phantoms. What a search finds is a lower bound of the worst case, for all of them.
"""

from __future__ import annotations

import argparse

import torch

from reconstructors.zoo import read_card
from stabtest.audit.cases import make_case
from stabtest.audit.config import Config
from stabtest.audit.subject import load_reference, load_subjects
from stabtest.metrics import psnr
from stabtest.stability import WorstCaseTest
from stabtest.stability.cases import Case, Method

NETWORKS = (
    "unet-mri",
    "unet-mri-jittered",
    "unet-mri-adversarial",
    "unet-mri-spectral",
    "pnp-mri",
    "fbpconvnet-ell50",
    "fbpconvnet-ell50-jittered",
    "fbpconvnet-ell50-adversarial",
    "fbpconvnet-ell50-spectral",
    "pnp-ct",
)
SCANS: dict[str, dict[str, object]] = {
    "mri": {
        "operator": {
            "kind": "fourier",
            "size": 128,
            "mask": {"kind": "cartesian_gaussian", "acceleration": 4.0, "centre_fraction": 0.08, "seed": 0},
        },
        "data": {"phantom": "head", "noise": 0.01},
    },
    "ct": {"operator": {"kind": "radon", "size": 128, "angles": 50}, "data": {"phantom": "ellipses", "noise": 0.02}},
}
"""What they were trained for."""


def configured(name: str) -> Config:
    """A network with the scan that it was trained for."""
    return Config.model_validate({"network": {"zoo": name}, **SCANS[read_card(name)["modality"]]})


def line(method: Method, cases: list[Case], test: WorstCaseTest) -> str:
    """One row of the table."""
    clean = [psnr(method(case.measurement, case.operator), case.reference_image).item() for case in cases]
    rows = [row for case in cases for row in test.measure(method, case, seed=0).rows]
    changes = [
        sum(found) / len(found)
        for radius in test.radii
        if (found := [row.relative_change for row in rows if row.radius == radius])
    ]
    return f"| `{method.name}` | {sum(clean) / len(clean):.1f} | {' | '.join(f'{change:.3f}' for change in changes)} |"


def table(names: list[str], test: WorstCaseTest, *, images: int, with_tv: bool) -> None:
    """Print the table of one scan."""
    config = configured(names[0])
    cases = [make_case(config, index) for index in range(images)]
    print(f"| method | PSNR, dB | {' | '.join(f'change at {radius:g}' for radius in test.radii)} |")
    print("|---|" + "---|" * (1 + len(test.radii)))
    for name in names:
        print(line(load_subjects(configured(name))[0].method, cases, test), flush=True)
    if with_tv:
        print(line(load_reference(config).method, cases, test), flush=True)


def main() -> None:
    """Print a table for each scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--radii", type=float, nargs="+", default=[0.01, 0.05])
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--without-tv", action="store_true", help="total variation takes most of the time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    test = WorstCaseTest(radii=tuple(arguments.radii), evaluations=arguments.evaluations, further_ways=0.0)
    for modality in SCANS:
        names = [name for name in arguments.networks if read_card(name)["modality"] == modality]
        if names:
            table(names, test, images=arguments.images, with_tv=not arguments.without_tv)


if __name__ == "__main__":
    main()
