"""Which subgroup each case is of."""

from __future__ import annotations

from stabtest.audit.cases.make import case_names
from stabtest.audit.cases.slices import file_slices
from stabtest.audit.config import Config


def groups_of(config: Config) -> dict[str, str]:
    r"""The subgroup of each case by its name, as ``[data] groups`` puts its file or phantom; empty where there are none.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> groups_of(parse_config('network.zoo = "tv"\ndata = { count = 2, groups = ["old", "young"] }'))
    {'head 1000000': 'old', 'head 1000001': 'young'}
    """
    groups = config.data.groups
    if not groups:
        return {}
    files = range(config.data.count) if config.data.kind == "phantom" else (number for number, _ in file_slices(config))
    return {name: groups[number] for name, number in zip(case_names(config), files, strict=True)}
