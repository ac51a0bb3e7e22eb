"""Which network is audited, and which method stands beside it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.settings.base import Count, Positive, Section, Seed


class AuditSection(Section):
    """What the report is called and what the network is meant for."""

    title: str = Field(default="Stability audit", description="Title of the report.")
    seed: Seed = Field(default=0, description="Seed of everything random in the audit.")
    intended_use: str = Field(default="", description="What the network is meant for; printed in the report.")


class NetworkSection(Section):
    """The method under test: a network of the zoo, or a user's own through its factory."""

    zoo: str | None = Field(default=None, description="Name of a built-in reconstructor (`stabtest zoo` lists them).")
    factory: str | None = Field(
        default=None, description='Own network: "module:factory" or "path/to/file.py:factory", called to make the torch module.'
    )
    arguments: dict[str, Any] = Field(default={}, description="Keyword arguments of the factory.")
    weights: str | None = Field(default=None, description="Weights: safetensors, or a state_dict saved by torch.save.")
    takes: Literal["pseudo_inverse", "measurements", "measurements+operator", "fastmri", "deepinv"] = Field(
        default="pseudo_inverse", description="What the network is given; pseudo_inverse = zero-filled or FBP image."
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
        if (self.zoo is None) == (self.factory is None):
            raise ValueError("exactly one of zoo and factory")
        adapted = sorted({"arguments", "weights", "takes", "channels", "scale"} & self.model_fields_set)
        if self.zoo is not None and adapted:
            raise ValueError(f"zoo alone, without {', '.join(adapted)}: a built-in reconstructor brings its own")
        return self

    @property
    def label(self) -> str:
        """The name in the report."""
        return self.name or self.zoo or str(self.factory).rpartition(":")[2]


class ReferenceSection(Section):
    """The classical method that goes through the same tests with the same budget."""

    method: Literal["tv", "wavelet", "zero-filled", "fbp", "none"] = Field(
        default="tv",
        description="tv = total variation; wavelet = translation-invariant wavelets; zero-filled (MRI) and fbp (CT) are linear; none = no reference.",
    )
    weight: Positive | None = Field(
        default=None, description="tv, wavelet: regularisation weight; default of the method if not given."
    )
    iterations: Count | None = Field(default=None, description="tv, wavelet: iterations; default of the method if not given.")
