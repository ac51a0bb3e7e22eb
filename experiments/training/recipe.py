"""A recipe: everything that determines a trained network.

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
    """Radius of an adversarial training, over the norm of the measurement; 0: none."""
    attack_steps: int = 3
    norm_limit: float | None = None
    """Largest norm of a layer (`experiments.training.spectral`); without one: any."""
    denoises: float | None = None
    """For plug-and-play: what is trained is the denoiser, on truths with noise of this standard deviation, over their largest modulus."""
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
