"""What the lecture shows, measured: parameter counts, PSNR of denoisers, a texture discriminator, and Lipschitz constants against depth.

Constants are bracketed: from below by the gain ``||f(y+e) - f(y)|| / ||e||`` that a search reaches at a noisy phantom within a radius of a
tenth of the noise, from above by `stabtest.bounds.lipschitz`. Textures are Gaussian random fields of two orientations, of the same mean and
variance, so that neither brightness nor contrast tells them apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.frame import scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces
from experiments.lecture_cnn.training import train
from experiments.training import segmentation
from reconstructors import zoo
from reconstructors.lecture.texture import TextureDiscriminator
from reconstructors.lecture.unet import LectureUNet
from stabtest import bounds, metrics
from stabtest.audit.fingerprint import digest
from stabtest.operators import Identity
from stabtest.search import worst_case

SCAN = "dncnn-denoise"
SIGMA = 20 / 255
TRAINED = {"images": 200, "sigma": SIGMA, "seed": 0, "residual": True, "norm_limit": None, "width": 16}
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {"images": 2, "steps": 60, "depths": [2, 4], "evaluations": 12, "side": 64},
    "published": {"images": 6, "steps": 1000, "depths": [2, 4, 6, 8], "evaluations": 40, "side": 64},
    "full": {"images": 40, "steps": 8000, "depths": [2, 3, 4, 5, 6, 8, 10, 12], "evaluations": 120, "side": 128},
}
ZOO = {"gaussian": "gaussian-filter", "median": "median-filter", "clipped": "handcrafted-denoiser"}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """Everything."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    _count(values)
    small = {**TRAINED, "layers": 4, "steps": settings["steps"]}
    networks = {"resnet-3x16": _network(pieces, small), "resnet-5x32": _zoo(SCAN)}
    values["parameters.resnet-3x16"] = [float(sum(p.numel() for p in networks["resnet-3x16"].parameters()))]
    _denoise(values, arrays, settings, networks)
    _deepen(values, settings, pieces)
    _limit(values, settings, pieces)
    _handmade(values, settings, pieces)
    _textures(values, arrays)
    _segment(values, settings)
    _threshold(values)
    return Measured(values, arrays)


def _count(values: dict[str, list[float]]) -> None:
    """Parameters in all and layer by layer, in the order of the modules."""
    for name, network in {"resnet-5x32": _zoo(SCAN), "unet": LectureUNet()}.items():
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
        counts = [sum(p.numel() for p in layer.parameters()) for layer in layers]
        values[f"parameters.{name}"] = [float(sum(counts))]
        for k, count in enumerate(counts, 1):
            values[f"parameters.{name}.layer-{k}"] = [float(count)]
    last = nn.Conv2d(32, 2, 3)
    values["parameters.unet.last-if-3x3"] = [float(sum(p.numel() for p in last.parameters()))]


def _denoise(
    values: dict[str, list[float]], arrays: dict[str, Any], settings: dict[str, Any], networks: dict[str, nn.Module]
) -> None:
    """PSNR of every denoiser on the same noisy images."""
    methods: dict[str, Any] = {
        "noisy": nn.Identity(),
        **{name: _zoo(of) for name, of in ZOO.items()},
        **networks,
    }
    tv = scans.total_variation(SCAN)
    for index in range(settings["images"]):
        case = scans.case(SCAN, index)
        assert case.truth is not None
        for name, network in methods.items():
            with torch.no_grad():
                image = network(case.measurement)
            values.setdefault(f"psnr.{name}", []).append(float(metrics.psnr(image, case.truth)))
            if index == 0:
                arrays[f"image.{name}"] = image[0, 0].numpy()
        image = tv.method(case.measurement, case.operator)
        values.setdefault("psnr.tv", []).append(float(metrics.psnr(image, case.truth)))
        if index == 0:
            arrays["image.tv"], arrays["image.truth"] = image[0, 0].numpy(), case.truth[0, 0].numpy()


def _deepen(values: dict[str, list[float]], settings: dict[str, Any], pieces: Pieces) -> None:
    """Bound and found gain of residual denoisers of increasing depth, equally trained."""
    for depth in settings["depths"]:
        network = _network(pieces, {**TRAINED, "layers": depth, "steps": settings["steps"]})
        _bracket(values, f"depth-{depth}", network, settings, pieces)
        values[f"psnr.depth-{depth}"] = _psnr(network, settings)


def _limit(values: dict[str, list[float]], settings: dict[str, Any], pieces: Pieces) -> None:
    """Two chains without residual, equally trained: free, and with layers of norm 1."""
    for name, limit in (("free", None), ("lip-1", 1.0)):
        plan = {**TRAINED, "residual": False, "layers": 4, "norm_limit": limit, "steps": settings["steps"]}
        network = _network(pieces, plan)
        _bracket(values, name, network, settings, pieces)
        values[f"psnr.{name}"] = _psnr(network, settings)


def _handmade(values: dict[str, list[float]], settings: dict[str, Any], pieces: Pieces) -> None:
    """Constants of what is made by hand, and of the trained network of the zoo."""
    for name, of in {**ZOO, "resnet-5x32": SCAN}.items():
        _bracket(values, name, _zoo(of), settings, pieces)


def _bracket(values: dict[str, list[float]], name: str, network: nn.Module, settings: dict[str, Any], pieces: Pieces) -> None:
    """Bound and found gain of a network of images, from their piece where they were computed before."""
    side, images = settings["side"], min(2, settings["images"])

    def make() -> dict[str, Any]:
        found: list[float] = []
        for index in range(images):
            y = _middle(scans.case(SCAN, index).measurement, side)
            worst = worst_case(
                lambda y, A: network(y),
                Identity((side, side)),
                y,
                radius=0.1 * SIGMA * side,
                unit="absolute",
                evaluations=settings["evaluations"],
                generator=torch.Generator().manual_seed(0),
            )
            found.append(float(worst.gain))
        upper = bounds.lipschitz(network, torch.zeros(1, 1, side, side)).upper
        return {"found": found, "bound": [] if upper is None else [upper]}

    weights = {key: digest(value.flatten().tolist()) for key, value in network.state_dict().items()}
    inputs = {"name": name, "weights": weights, "side": side, "images": images, "evaluations": settings["evaluations"]}
    made = pieces.get(f"bracket-{name}", inputs, make)
    values[f"found.{name}"] = made["found"].tolist()
    if len(made["bound"]):
        values[f"bound.{name}"] = made["bound"].tolist()


def _textures(values: dict[str, list[float]], arrays: dict[str, Any]) -> None:
    """Share of the pixels of a mosaic of two textures whose score has the right sign; fitted on others."""
    fields = [_field(0.0, seed=k) for k in range(4)], [_field(math.pi / 2, seed=10 + k) for k in range(4)]
    network = TextureDiscriminator().fit(torch.stack(fields[0][:2]), torch.stack(fields[1][:2])).eval()
    accuracy: list[float] = []
    side = fields[0][0].shape[-1]
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = (rows - side / 2).square() + (columns - side / 2).square() < (side / 3) ** 2
    for k in (2, 3):
        mosaic = torch.where(inside, fields[0][k], fields[1][k])
        with torch.no_grad():
            score = network(mosaic[None])[0, 0]
        accuracy.append(float(((score > 0) == inside).float().mean()))
        arrays |= {"texture.mosaic": mosaic[0].numpy(), "texture.score": score.numpy(), "texture.inside": inside.numpy()}
    values["accuracy.texture"] = accuracy
    _bound(values, "texture", network, torch.zeros(1, 1, 64, 64))


def _segment(values: dict[str, list[float]], settings: dict[str, Any]) -> None:
    """Means of IoU over drawn cells: the zoo's U-Net, and the best threshold of each image."""
    with torch.no_grad():
        scores: Any = segmentation.evaluate(_zoo("lecture-unet-cells"), count=settings["images"])["iou"]
    for name, label in (("network", "unet"), ("threshold", "threshold")):
        values |= {f"iou.{label}.{kind}": [score] for kind, score in scores[name].items()}


def _field(angle: float, *, seed: int, side: int = 128) -> Tensor:
    """A Gaussian random field with waves of about 5 pixels across one direction, mean 0, variance 1, ``(1, side, side)``."""
    frequency = torch.fft.fftfreq(side)
    v, u = torch.meshgrid(frequency, frequency, indexing="ij")
    along, across = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
    spectrum = torch.exp(-((along.abs() - 0.2) ** 2) / (2 * 0.05**2) - across**2 / (2 * 0.05**2))
    noise = torch.randn(side, side, generator=torch.Generator().manual_seed(seed))
    field = torch.fft.ifft2(torch.fft.fft2(noise) * spectrum).real
    return ((field - field.mean()) / field.std())[None]


def _threshold(values: dict[str, list[float]]) -> None:
    """The threshold-logic network: what the bound says, its gradient, and the gain across a jump that is found by bisection."""
    network = _zoo("threshold-logic").double()
    _bound(values, "threshold-logic", _zoo("threshold-logic"), torch.zeros(1, 4))
    generator = torch.Generator().manual_seed(0)
    ends = 3 * torch.randn(256, 4, dtype=torch.float64, generator=generator)
    one, other = next((a, b) for a in ends for b in ends if bool((network(a[None]) != network(b[None])).any()))
    while (other - one).norm() > 1e-9:
        middle = (one + other) / 2
        one, other = (middle, other) if bool((network(middle[None]) == network(one[None])).all()) else (one, middle)
    values["gain-across-jump.threshold-logic"] = [
        float((network(one[None]) - network(other[None])).norm() / (one - other).norm())
    ]
    x = ends.clone().requires_grad_(True)
    image = network(x)
    gradient = torch.autograd.grad(image.sum(), x)[0] if image.requires_grad else torch.zeros_like(x)
    values["gradient.threshold-logic"] = [float(gradient.norm())]


def _bound(values: dict[str, list[float]], name: str, network: nn.Module, example: Tensor) -> None:
    """The smallest bound that the tool has; none where it knows none."""
    upper = bounds.lipschitz(network, example).upper
    if upper is not None:
        values[f"bound.{name}"] = [upper]


def _psnr(network: nn.Module, settings: dict[str, Any]) -> list[float]:
    found = []
    for index in range(settings["images"]):
        case = scans.case(SCAN, index)
        assert case.truth is not None
        with torch.no_grad():
            found.append(float(metrics.psnr(network(case.measurement), case.truth)))
    return found


def _network(pieces: Pieces, plan: dict[str, Any]) -> nn.Module:
    """A trained network, from its piece where it was trained before."""

    def make() -> dict[str, Any]:
        return {key: value.numpy() for key, value in train(plan).state_dict().items()}

    from experiments.lecture_cnn import training

    kind = "residual" if plan["residual"] else "chain" if plan["norm_limit"] is None else "limited"
    weights = pieces.get(f"trained-{kind}-{plan['layers']}x{plan['width']}", plan, make, sources=(training,))
    network = training.untrained({**plan, "norm_limit": None}).eval().requires_grad_(False)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return network


def _zoo(name: str) -> nn.Module:
    module = zoo.load(name).module
    assert module is not None
    return module


def _middle(image: Tensor, side: int) -> Tensor:
    first = (image.shape[-1] - side) // 2
    return image[..., first : first + side, first : first + side].contiguous()
