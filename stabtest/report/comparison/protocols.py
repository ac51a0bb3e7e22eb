"""What two audits have to share so that their numbers can be held against each other, and where they do not.

A statistic depends on the scan, the data, the settings of its own test and the seed; one *over the reference* also on the reference method.
Two audits are comparable in a statistic if all of these agree. The network is what may differ. A key that an audit does not have
(it was written before there was one) is no difference: nothing is known of it, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stabtest.errors import AuditError
from stabtest.report.comparison.audits import Audit
from stabtest.report.numbers import many
from stabtest.report.sections.item import as_json, flatten

SHARED = ("operator", "data")
"""Tables of the configuration on which every statistic depends."""
OF_THE_REFERENCE = "reference"
UNKNOWN = "not recorded"
_NOT_COMPARED = ("network", "audit", "criteria", "criterion")
"""Tables that say what is tested, how it is called and by what it is judged; of ``[audit]`` the seed counts."""


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all audits."""

    key: str
    values: tuple[str, ...]
    """One an audit, as text; `UNKNOWN` where an audit does not have the key."""

    @property
    def table(self) -> str:
        """The table of the configuration, or of the data, that the setting is in."""
        return self.key.partition(".")[0]


def differences(audits: Sequence[Audit]) -> tuple[Difference, ...]:
    """The settings that are not the same in all audits, in the order in which the first audit has them."""
    settings = [dict(_settings(audit)) for audit in audits]
    keys = dict.fromkeys(key for each in settings for key in each)
    found: list[Difference] = []
    for key in keys:
        values = tuple(each.get(key, UNKNOWN) for each in settings)
        if len({value for value in values if value != UNKNOWN}) > 1:
            found.append(Difference(key, values))
    return tuple(found)


def unrecorded(audits: Sequence[Audit]) -> int:
    """How many settings some of the audits have and others do not."""
    settings = [set(dict(_settings(audit))) for audit in audits]
    return len(set.union(*settings) - set.intersection(*settings))


def touching(found: Sequence[Difference], statistic: str) -> tuple[Difference, ...]:
    """The differences on which a statistic depends.

    Examples
    --------
    >>> found = (Difference("sampling.fractions", ("[0.1]", "[0.2]")), Difference("reference.weight", ("1", "2")))
    >>> [difference.key for difference in touching(found, "noise.nrmse.ratio_to_reference")]
    ['reference.weight']
    """
    tables = {*SHARED, "audit", "modality", statistic.partition(".")[0]}
    if statistic.endswith("_to_reference"):
        tables.add(OF_THE_REFERENCE)
    return tuple(difference for difference in found if difference.table in tables)


def require_one_protocol(audits: Sequence[Audit]) -> None:
    """Refuse audits whose protocols differ.

    Raises
    ------
    AuditError
        With the first settings that differ.
    """
    found = differences(audits)
    if not found:
        return
    named = "; ".join(f"{each.key} ({', '.join(each.values)})" for each in found[:4])
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    raise AuditError(
        "audits side by side",
        expected="one protocol",
        came=f"{many(len(found), 'setting')} that differ{'s' if len(found) == 1 else ''}: {named}{more}",
        remedy="run them again with the same settings, or leave --same-protocol out: the page marks what differs",
    )


def _settings(audit: Audit) -> list[tuple[str, str]]:
    """Every setting that a statistic can depend on, as text."""
    document = audit.document
    kept: dict[str, Any] = {key: value for key, value in document.configuration.items() if key not in _NOT_COMPARED}
    given: list[tuple[str, Any]] = [("modality", document.modality), ("audit.seed", document.seed), *flatten(kept)]
    given = [(key, value) for key, value in given if not _of_a_test_that_is_off(key, kept)]
    given += [("data.sha256." + name, digest) for name, digest in document.data.files.items()]
    given.append(("data.cases", [case.name for case in document.data.cases]))
    return [(key, value if isinstance(value, str) else as_json(value)) for key, value in given]


def _of_a_test_that_is_off(key: str, tables: Mapping[str, Any]) -> bool:
    """Whether a setting is of a test that was not run: it has measured nothing."""
    table, _, rest = key.partition(".")
    section = tables.get(table)
    return isinstance(section, Mapping) and section.get("enabled") is False and rest != "enabled"  # pyright: ignore[reportUnknownMemberType]
