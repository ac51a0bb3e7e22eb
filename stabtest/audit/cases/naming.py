"""What the cases of an audit are called."""

from __future__ import annotations

from stabtest.audit.cases.slices import file_slices
from stabtest.audit.config import Config
from stabtest.audit.privacy import tail


def case_names(config: Config) -> tuple[str, ...]:
    r"""Name of each case, in order.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> case_names(parse_config('network.zoo = "tv"\ndata = { count = 2, first_seed = 7 }'))
    ('head 7', 'head 8')
    """
    data = config.data
    if data.kind == "phantom":
        return tuple(f"{data.phantom} {data.first_seed + index}" for index in range(data.count))
    stems = [config.path(name).stem for name in data.files]
    names = [stem if stems.count(stem) == 1 else tail(name, data.files) for stem, name in zip(stems, data.files, strict=True)]
    if not data.slices and data.every is None:
        return tuple(names)
    return tuple(f"{names[index]} slice {number}" for index, number in file_slices(config))
