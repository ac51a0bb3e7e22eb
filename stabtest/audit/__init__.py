"""Audits: from a configuration to a document that says what was found, resumable at every step."""

from typing import TYPE_CHECKING, Any

from stabtest.audit.config import Config
from stabtest.audit.config.file import config_schema, load_config, parse_config
from stabtest.audit.config.template import init_template

if TYPE_CHECKING:
    from stabtest.audit.conduct import AuditResult, run
    from stabtest.audit.units.plan import Plan, make_plan

__all__ = ["AuditResult", "Config", "Plan", "config_schema", "init_template", "load_config", "make_plan", "parse_config", "run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    # What computes imports PyTorch: only when it is asked for.
    if name in ("Plan", "make_plan"):
        from stabtest.audit.units import plan

        return getattr(plan, name)
    if name in ("AuditResult", "run"):
        import importlib

        return getattr(importlib.import_module("stabtest.audit.conduct"), name)
    raise AttributeError(f"module 'stabtest.audit' has no attribute {name!r}")
