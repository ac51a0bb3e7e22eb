"""By which named criteria an audit is judged; those of its own are ``[[criterion]]`` tables."""

from __future__ import annotations

from pydantic import Field

from stabtest.audit.config.settings.base import Section


class CriteriaSection(Section):
    """Criteria that ship under a name and a version, beside the audit's own."""

    profile: str | None = Field(
        default=None,
        description="Name and version of criteria that ship (`stabtest profiles` lists them), beside [[criterion]].",
    )
