"""What the network was trained on, so that the audit can see whether it is tried on the same."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Section, Seed


class TrainingSection(Section):
    """What the network saw in training: how it does on a case that it knows says nothing about one that it does not."""

    split: str = Field(
        default="",
        description="How cases were kept out of the training, in your words; the report quotes it as your statement.",
    )
    files: tuple[str, ...] = Field(
        default=(), description='Files of the training, compared with [data] files by their SHA-256; "folder/*.h5" is many.'
    )
    digests: str | None = Field(
        default=None, description="Instead of the files, or beside them: a text file of their SHA-256, as sha256sum writes it."
    )
    patients: tuple[str, ...] = Field(default=(), description="Patients of the training, by the names of [data] patients.")
    seeds: Annotated[tuple[Seed, ...], Field(max_length=2)] = Field(
        default=(),
        description="First and last seed of the phantoms of the training, where [data] has phantoms. The zoo's networks bring theirs.",
    )

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if self.seeds and (len(self.seeds) != 2 or self.seeds[1] < self.seeds[0]):
            raise ValueError("seeds = [first, last], the last not below the first")
        return self
