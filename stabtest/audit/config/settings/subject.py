"""Which network is audited, and which method stands beside it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Positive, Section, Seed

_ADAPTATION = {"takes", "channels", "scale"}
_OF_ONE_SOURCE = {"arguments", "weights", "trusted", "format", "timeout"}
_FITS: dict[str, set[str]] = {
    "zoo": set(),
    "factory": {"arguments", "weights"} | _ADAPTATION,
    "file": {"trusted"} | _ADAPTATION,
    "command": {"format", "timeout"} | _ADAPTATION,
}
"""Keys that make sense beside each source of a network."""


class AuditSection(Section):
    """What the report is called and what the network is meant for."""

    title: str = Field(default="Stability audit", description="Title of the report.")
    seed: Seed = Field(default=0, description="Seed of everything random in the audit.")
    intended_use: str = Field(default="", description="What the network is meant for; printed in the report.")
    pictures_mb: Annotated[float, Field(gt=0, le=6, allow_inf_nan=False)] = Field(
        default=3.6, description="Megabytes of pictures in the report; all others lie beside it."
    )


class NetworkSection(Section):
    """The method under test: a network of the zoo, or a user's own: through its factory, as a file with its code, as a program."""

    zoo: str | None = Field(default=None, description="Name of a built-in reconstructor (`stabtest zoo` lists them).")
    factory: str | None = Field(
        default=None, description='Own network: "module:factory" or "path/to/file.py:factory", called to make the torch module.'
    )
    file: str | None = Field(
        default=None,
        description="Own network with its code in it: a file of torch.jit.save or torch.export.save (.pt2), or ONNX.",
    )
    command: str | None = Field(
        default=None, description='Own reconstruction as a program: "recon {measurements} {output}", run for each image.'
    )
    trusted: bool = Field(
        default=False, description="Whether the file is trusted: loading it runs what is in it (not of ONNX)."
    )
    format: Literal["npy", "hdf5"] = Field(default="npy", description="Of the files that the command reads and writes.")
    timeout: Positive | None = Field(
        default=None, description="Seconds that the command may take for one image; no limit if not given."
    )
    arguments: dict[str, Any] = Field(default={}, description="Keyword arguments of the factory.")
    weights: str | None = Field(default=None, description="Weights: safetensors, or a state_dict saved by torch.save.")
    takes: Literal["pseudo_inverse", "measurements", "measurements+operator", "fastmri", "deepinv"] = Field(
        default="pseudo_inverse", description="What the network is given; pseudo_inverse = zero-filled, gridded or FBP image."
    )
    channels: Literal["native", "real-imag", "magnitude"] = Field(
        default="native", description="Layout of complex images: native complex, two channels, or the magnitude only."
    )
    scale: Literal["none", "max", "standardise"] = Field(
        default="none", description="Scaling of each image before the network, undone afterwards."
    )
    name: str | None = Field(default=None, description="Name in the report; default: that of the zoo or of the factory.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [name for name in ("zoo", "factory", "file", "command") if getattr(self, name) is not None]
        if len(sources) != 1:
            raise ValueError("exactly one of zoo, factory, file and command")
        surplus = sorted(((_OF_ONE_SOURCE | _ADAPTATION) - _FITS[sources[0]]) & self.model_fields_set)
        if self.zoo is not None and surplus:
            raise ValueError(f"zoo alone, without {', '.join(surplus)}: a built-in reconstructor brings its own")
        if surplus:
            raise ValueError(
                f"{sources[0]} without {', '.join(surplus)}, which belong{'s' if len(surplus) == 1 else ''} to another source"
            )
        return self

    @property
    def label(self) -> str:
        """The name in the report."""
        if self.file is not None:
            return self.name or PurePath(self.file).stem
        if self.command is not None:
            return self.name or PurePath((self.command.split() or ["program"])[0]).name
        return self.name or self.zoo or str(self.factory).rpartition(":")[2]


class ReferenceSection(Section):
    """The classical method that goes through the same tests with the same budget."""

    method: Literal["tv", "tgv", "wavelet", "cg-sense", "sirt", "zero-filled", "gridding", "fbp", "none"] = Field(
        default="tv",
        description="tv = total variation; tgv = total generalised variation; wavelet = translation-invariant wavelets; linear: zero-filled, "
        "gridding (non-Cartesian) and cg-sense (MRI), fbp and sirt (CT); none = no reference.",
    )
    weight: Positive | None = Field(
        default=None, description="tv, tgv, wavelet: regularisation weight; default of the method if not given."
    )
    iterations: Count | None = Field(
        default=None, description="tv, tgv, wavelet: iterations; default of the method if not given."
    )
