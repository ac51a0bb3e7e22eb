"""Base of all tables of ``stabtest.toml``, and the kinds of numbers in them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stabtest.errors import ConfigError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=8, le=4096)]
Share = Annotated[float, Field(gt=0, le=1)]
Index = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@contextmanager
def possible() -> Generator[None, None, None]:
    """Hand what a test refuses (a `ConfigError`) to the reader of the file, who names the table and the key."""
    try:
        yield
    except ConfigError as error:
        raise ValueError(str(error)) from error


class Section(BaseModel):
    """Base of all tables: frozen, strict types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
