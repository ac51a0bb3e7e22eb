"""Audits: from a configuration to a document that says what was found, resumable at every step."""

from stabtest.audit.config import Config
from stabtest.audit.config_file import load_config, parse_config
from stabtest.audit.template import init_template

__all__ = ["Config", "init_template", "load_config", "parse_config"]
