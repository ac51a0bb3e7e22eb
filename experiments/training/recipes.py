"""What each network of the zoo is trained on."""

from __future__ import annotations

from typing import Any

from experiments.training.recipe import Recipe

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
_TV_CHOSEN_CT = (1.3e-3,)
"""What was chosen of them on the tuning phantoms of `fbpconvnet-ell50`, for further networks of the same scan."""
_TV_WEIGHTS_COILS = (3e-4, 5e-4, 8e-4, 1.2e-3, 1.8e-3, 2.7e-3)

_MRI: dict[str, Any] = {
    "modality": "mri",
    "phantom": "head",
    "size": 128,
    "operator": _CARTESIAN,
    "noise": 0.01,
    "scale": "max",
    "images": 2000,
    "tv_weights": _TV_WEIGHTS_MRI,
}
"""Single-coil MRI of head phantoms."""
_COILED: dict[str, Any] = {
    "modality": "mri",
    "phantom": "head",
    "size": 128,
    "operator": _COILS,
    "noise": 0.01,
    "takes": "measurements+operator",
    "channels": "native",
    "scale": "max",
    "images": 1500,
    "tv_weights": _TV_WEIGHTS_COILS,
}
"""MRI with several coils of known sensitivities."""
_CT: dict[str, Any] = {
    "modality": "ct",
    "phantom": "ellipses",
    "size": 128,
    "operator": {"kind": "radon", "angles": 50},
    "noise": 0.02,
    "channels": "native",
    "scale": "none",
    "images": 6000,
    "tv_weights": _TV_WEIGHTS_CT,
}
"""Parallel-beam CT of ellipses."""
_CT_AGAIN: dict[str, Any] = {**_CT, "tv_weights": _TV_CHOSEN_CT}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="unet-mri",
            **_MRI,
            channels="real-imag",
            network={"channels": 2, "width": 16, "depth": 3},
            steps=7000,
        ),
        Recipe(
            name="fbpconvnet-ell50",
            **_CT,
            network={"channels": 1, "width": 16, "depth": 3},
            steps=7000,
        ),
        Recipe(
            name="fbpconvnet-med50",
            **{**_CT, "phantom": "chest", "images": 2500},
            network={"channels": 1, "width": 16, "depth": 3},
            steps=500,
            start="fbpconvnet-ell50",
            learning_rate=0.001,
        ),
        Recipe(
            name="cascade-mri",
            **_MRI,
            channels="native",
            network={"cascades": 5, "layers": 4, "width": 32},
            steps=5000,
            architecture="cascade",
            takes="measurements+operator",
            batch=4,
            learning_rate=0.001,
        ),
        Recipe(
            name="automap-mri",
            **{**_MRI, "size": 40, "images": 6000, "tv_weights": (0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024)},
            channels="native",
            network={"size": 40, "acceleration": 4, "centre_fraction": 0.08, "seed": 0, "hidden": 1600, "width": 32},
            steps=4000,
            architecture="automap",
            takes="measurements+operator",
            storage="float16",
            batch=64,
            learning_rate=0.001,
        ),
        Recipe(
            name="dagan-mri",
            **_MRI,
            channels="real-imag",
            network={"channels": 2, "width": 16, "depth": 3},
            steps=3500,
            objective="adversarial",
        ),
        Recipe(
            name="unet-mri-jittered",
            **_MRI,
            channels="real-imag",
            network={"channels": 2, "width": 16, "depth": 3},
            steps=1500,
            start="unet-mri",
            learning_rate=0.001,
            noise_up_to=0.1,
        ),
        Recipe(
            name="unet-mri-adversarial",
            **_MRI,
            channels="real-imag",
            network={"channels": 2, "width": 16, "depth": 3},
            steps=600,
            start="unet-mri",
            learning_rate=0.001,
            attack_radius=0.05,
        ),
        Recipe(
            name="unet-mri-spectral",
            **_MRI,
            channels="real-imag",
            network={"channels": 2, "width": 16, "depth": 3, "norm": None},
            steps=2000,
            weight_decay=0.0,
            norm_limit=1.0,
        ),
        Recipe(
            name="fbpconvnet-ell50-jittered",
            **_CT_AGAIN,
            network={"channels": 1, "width": 16, "depth": 3},
            steps=600,
            start="fbpconvnet-ell50",
            learning_rate=0.001,
            noise_up_to=0.06,
        ),
        Recipe(
            name="fbpconvnet-ell50-adversarial",
            **_CT_AGAIN,
            network={"channels": 1, "width": 16, "depth": 3},
            steps=150,
            start="fbpconvnet-ell50",
            learning_rate=0.001,
            attack_radius=0.02,
        ),
        Recipe(
            name="fbpconvnet-ell50-spectral",
            **{**_CT_AGAIN, "images": 2000},
            network={"channels": 1, "width": 16, "depth": 3, "norm": None},
            steps=2000,
            weight_decay=0.0,
            norm_limit=1.0,
        ),
        Recipe(
            name="dncnn-denoise",
            modality="other",
            phantom="head",
            size=128,
            operator={"kind": "identity"},
            noise=20 / 255,
            channels="native",
            scale="none",
            network={"channels": 1, "width": 32, "layers": 6},
            images=2000,
            steps=8000,
            architecture="dncnn",
            learning_rate=0.001,
            tv_weights=(0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12),
        ),
        Recipe(
            name="lpd-ct",
            **_CT,
            network={"iterations": 6, "primal": 5, "dual": 5, "width": 24},
            steps=1200,
            architecture="learned-primal-dual",
            takes="measurements+operator",
            batch=2,
        ),
        Recipe(
            name="itnet-ct",
            **_CT,
            network={"channels": 1, "iterations": 4, "width": 16, "depth": 3},
            steps=800,
            architecture="itnet",
            takes="measurements+operator",
            start="fbpconvnet-ell50",
            batch=2,
            learning_rate=0.0005,
        ),
        Recipe(
            name="itnet-mri",
            **_MRI,
            channels="native",
            network={"channels": 2, "iterations": 4, "width": 16, "depth": 3},
            steps=1200,
            architecture="itnet",
            takes="measurements+operator",
            start="unet-mri",
            batch=2,
            learning_rate=0.0005,
        ),
        Recipe(
            name="modl-mri-coils",
            **_COILED,
            network={
                "repetitions": 4,
                "layers": 5,
                "width": 32,
                "tolerance": 1e-05,
                "training_tolerance": 0.0001,
                "iterations": 100,
            },
            steps=700,
            architecture="modl",
            batch=2,
            learning_rate=0.0015,
        ),
        Recipe(
            name="vn-mri-coils",
            **_COILED,
            network={"stages": 10, "filters": 24, "size": 7, "knots": 31},
            steps=1200,
            architecture="variational",
            batch=1,
            learning_rate=0.008,
            full_precision_from=0.0,
        ),
        Recipe(
            name="pnp-mri",
            **{**_MRI, "images": 800},
            channels="native",
            network={"filters": 16, "size": 5, "steps": 10, "iterations": 100},
            steps=1000,
            architecture="plug-and-play",
            takes="measurements+operator",
            denoises=0.02,
            batch=2,
            learning_rate=0.005,
            weight_decay=0.0,
        ),
        Recipe(
            name="pnp-ct",
            **{**_CT, "images": 800, "tv_weights": _TV_CHOSEN_CT},
            network={"filters": 16, "size": 5, "steps": 10, "iterations": 300},
            steps=1000,
            architecture="plug-and-play",
            takes="measurements+operator",
            denoises=0.02,
            batch=2,
            learning_rate=0.005,
            weight_decay=0.0,
        ),
        Recipe(
            name="varnet-mri-coils",
            **_COILED,
            network={"cascades": 8, "width": 12, "depth": 2},
            steps=1500,
            architecture="varnet",
            batch=1,
            learning_rate=0.003,
        ),
    )
}
