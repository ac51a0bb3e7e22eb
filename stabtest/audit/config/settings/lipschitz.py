"""Bounds of the Lipschitz constants."""

from __future__ import annotations

from pydantic import Field

from stabtest.audit.config.settings.base import Count, Section


class LipschitzSection(Section):
    """Test 4: the layer table and the brackets of the Lipschitz constants."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    jacobian_steps: Count = Field(default=10, description="Lanczos steps on the Jacobian, for the lower ends.")
    seconds: float = Field(
        default=0.0,
        ge=0,
        description="Processor time for smaller upper ends than the product of the layers (loop transformation, semidefinite bound) and "
        "for the floor that they cannot pass; 0: none of them.",
    )
