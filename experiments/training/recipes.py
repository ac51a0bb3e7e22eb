"""What each network of the zoo is trained on.

Seeds of phantoms are disjoint by purpose and from those that an audit uses by default (from 1 000 000), so that no audited
image was ever trained on: training from 10 000 000, choice of regularisation weights from 20 000 000, held-out evaluation
from 30 000 000.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reconstructors.architectures import Architecture
from stabtest.operators.base import LinearOperator
from stabtest.operators.fourier import Fourier
from stabtest.operators.identity import Identity
from stabtest.operators.masks import cartesian_gaussian
from stabtest.operators.multicoil import MultiCoilFourier
from stabtest.operators.radon import Radon
from stabtest.phantoms import coil_maps

TRAINING_SEED = 10_000_000
TUNING_SEED = 20_000_000
HELD_OUT_SEED = 30_000_000


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a trained network.

    ``modality`` is ``"other"`` where an image itself is measured (denoising). ``noise`` is the standard deviation of the measurement
    noise: relative to the largest value of the sinogram in CT, else to the largest image value. ``takes``, ``channels`` and
    ``scale`` are those of `stabtest.networks.wrap`, ``architecture`` is a name in `reconstructors.architectures` and ``network`` its
    settings.
    """

    name: str
    modality: Literal["mri", "ct", "other"]
    phantom: str
    size: int
    operator: dict[str, object]
    noise: float
    channels: Literal["real-imag", "native"]
    scale: Literal["max", "none"]
    network: dict[str, float | None]
    images: int
    steps: int
    architecture: Architecture = "unet"
    takes: Literal["pseudo_inverse", "measurements+operator"] = "pseudo_inverse"
    objective: Literal["mean square", "adversarial"] = "mean square"
    start: str = ""
    """A trained U-Net of the zoo from whose weights training starts (`experiments.training.start`); without, from random ones."""
    storage: Literal["float32", "float16"] = "float32"
    """Precision of the weight file; what is evaluated has the rounded weights."""
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-5
    seed: int = 0
    noise_up_to: float | None = None
    """Largest noise level of a jittered training (`experiments.training.robust`)."""
    attack_radius: float = 0.0
    """Radius of an adversarial training, over the norm of the input; 0: none."""
    attack_steps: int = 3
    norm_limit: float | None = None
    """Largest norm of a layer (`experiments.training.spectral`); without one: any."""
    full_precision_from: float = 0.85
    """Share of the steps after which training leaves bfloat16 for float32."""
    tv_weights: tuple[float, ...] = field(default=())
    """Candidates for the regularisation weight of the reference method."""

    def build_operator(self) -> LinearOperator:
        """The forward model."""
        if self.modality == "other":
            return Identity((self.size, self.size))
        if self.modality == "ct":
            return Radon(self.size, int(str(self.operator["angles"])))
        mask = cartesian_gaussian(
            (self.size, self.size),
            acceleration=float(str(self.operator["acceleration"])),
            centre_fraction=float(str(self.operator["centre_fraction"])),
            seed=int(str(self.operator["seed"])),
        )
        if self.operator["kind"] == "fourier":
            return Fourier(mask)
        coils, seed = int(str(self.operator["coils"])), int(str(self.operator["coil_seed"]))
        return MultiCoilFourier(mask, coil_maps(self.size, coils, seed=seed))


_CARTESIAN: dict[str, object] = {
    "kind": "fourier",
    "mask": "cartesian_gaussian",
    "acceleration": 4,
    "centre_fraction": 0.08,
    "seed": 0,
}
_COILS: dict[str, object] = {**_CARTESIAN, "kind": "multicoil", "coils": 8, "coil_seed": 128_348_999}
"""The coils are those that an audit with 8 coils and the seed 0 simulates."""
_TV_WEIGHTS_MRI = (1e-3, 2e-3, 4e-3, 6e-3, 8e-3, 1.2e-2, 1.6e-2)
_TV_WEIGHTS_CT = (5e-4, 7e-4, 1e-3, 1.3e-3, 1.5e-3, 1.8e-3, 2.2e-3, 3e-3)
_TV_WEIGHTS_COILS = (3e-4, 5e-4, 8e-4, 1.2e-3, 1.8e-3, 2.7e-3)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="unet-mri",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            channels="real-imag",
            scale="max",
            network={"channels": 2, "width": 16, "depth": 3},
            images=2000,
            steps=7000,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="fbpconvnet-ell50",
            modality="ct",
            phantom="ellipses",
            size=128,
            operator={"kind": "radon", "angles": 50},
            noise=0.02,
            channels="native",
            scale="none",
            network={"channels": 1, "width": 16, "depth": 3},
            images=6000,
            steps=7000,
            tv_weights=_TV_WEIGHTS_CT,
        ),
        Recipe(
            name="cascade-mri",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            architecture="cascade",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={"cascades": 5, "layers": 4, "width": 32},
            images=2000,
            steps=5000,
            batch=4,
            learning_rate=1e-3,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="automap-mri",
            modality="mri",
            phantom="head",
            size=40,
            operator=_CARTESIAN,
            noise=0.01,
            architecture="automap",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={"size": 40, "acceleration": 4, "centre_fraction": 0.08, "seed": 0, "hidden": 1600, "width": 32},
            storage="float16",
            images=6000,
            steps=4000,
            batch=64,
            learning_rate=1e-3,
            tv_weights=(1e-3, 2e-3, 4e-3, 6e-3, 8e-3, 1.2e-2, 1.6e-2, 2.4e-2),
        ),
        Recipe(
            name="dagan-mri",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            objective="adversarial",
            channels="real-imag",
            scale="max",
            network={"channels": 2, "width": 16, "depth": 3},
            images=2000,
            steps=3500,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="unet-mri-jittered",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            channels="real-imag",
            scale="max",
            network={"channels": 2, "width": 16, "depth": 3},
            start="unet-mri",
            noise_up_to=0.1,
            images=2000,
            steps=1500,
            learning_rate=1e-3,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="unet-mri-adversarial",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            channels="real-imag",
            scale="max",
            network={"channels": 2, "width": 16, "depth": 3},
            start="unet-mri",
            attack_radius=0.05,
            images=2000,
            steps=600,
            learning_rate=1e-3,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="unet-mri-spectral",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            channels="real-imag",
            scale="max",
            network={"channels": 2, "width": 16, "depth": 3, "norm": None},
            norm_limit=1.0,
            images=2000,
            steps=2000,
            weight_decay=0.0,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="dncnn-denoise",
            modality="other",
            phantom="head",
            size=128,
            operator={"kind": "identity"},
            noise=20 / 255,
            architecture="dncnn",
            channels="native",
            scale="none",
            network={"channels": 1, "width": 32, "layers": 6},
            images=2000,
            steps=8000,
            batch=8,
            learning_rate=1e-3,
            tv_weights=(2e-2, 3e-2, 4e-2, 5e-2, 6e-2, 8e-2, 1.2e-1),
        ),
        Recipe(
            name="lpd-ct",
            modality="ct",
            phantom="ellipses",
            size=128,
            operator={"kind": "radon", "angles": 50},
            noise=0.02,
            architecture="learned-primal-dual",
            takes="measurements+operator",
            channels="native",
            scale="none",
            network={"iterations": 6, "primal": 5, "dual": 5, "width": 24},
            images=6000,
            steps=1200,
            batch=2,
            learning_rate=2e-3,
            tv_weights=_TV_WEIGHTS_CT,
        ),
        Recipe(
            name="itnet-ct",
            modality="ct",
            phantom="ellipses",
            size=128,
            operator={"kind": "radon", "angles": 50},
            noise=0.02,
            architecture="itnet",
            takes="measurements+operator",
            channels="native",
            scale="none",
            network={"channels": 1, "iterations": 4, "width": 16, "depth": 3},
            start="fbpconvnet-ell50",
            images=6000,
            steps=800,
            batch=2,
            learning_rate=5e-4,
            tv_weights=_TV_WEIGHTS_CT,
        ),
        Recipe(
            name="itnet-mri",
            modality="mri",
            phantom="head",
            size=128,
            operator=_CARTESIAN,
            noise=0.01,
            architecture="itnet",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={"channels": 2, "iterations": 4, "width": 16, "depth": 3},
            start="unet-mri",
            images=2000,
            steps=1200,
            batch=2,
            learning_rate=5e-4,
            tv_weights=_TV_WEIGHTS_MRI,
        ),
        Recipe(
            name="modl-mri-coils",
            modality="mri",
            phantom="head",
            size=128,
            operator=_COILS,
            noise=0.01,
            architecture="modl",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={
                "repetitions": 4,
                "layers": 5,
                "width": 32,
                "tolerance": 1e-5,
                "training_tolerance": 1e-4,
                "iterations": 100,
            },
            images=1500,
            steps=700,
            batch=2,
            learning_rate=1.5e-3,
            tv_weights=_TV_WEIGHTS_COILS,
        ),
        Recipe(
            name="vn-mri-coils",
            modality="mri",
            phantom="head",
            size=128,
            operator=_COILS,
            noise=0.01,
            architecture="variational",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={"stages": 10, "filters": 24, "size": 7, "knots": 31},
            images=1500,
            steps=1200,
            batch=1,
            learning_rate=8e-3,
            full_precision_from=0.0,
            tv_weights=_TV_WEIGHTS_COILS,
        ),
        Recipe(
            name="varnet-mri-coils",
            modality="mri",
            phantom="head",
            size=128,
            operator=_COILS,
            noise=0.01,
            architecture="varnet",
            takes="measurements+operator",
            channels="native",
            scale="max",
            network={"cascades": 8, "width": 12, "depth": 2},
            images=1500,
            steps=1500,
            batch=1,
            learning_rate=3e-3,
            tv_weights=_TV_WEIGHTS_COILS,
        ),
    )
}
