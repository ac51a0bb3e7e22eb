"""The one exception family of the project.

Every error that a user can cause derives from `StabtestError` and says three things: what was expected, what came, and
what to do. The command line prints it as one message and ends with exit status 2; anything else that escapes is a defect
of the tool.
"""

from __future__ import annotations

import errno


class StabtestError(Exception):
    """An error that the user can understand and mend.

    Parameters
    ----------
    message
        What is wrong, naming the culprit (file, key, argument, shape).
    expected
        What would have been right.
    came
        What was found instead.
    remedy
        What to do about it.

    Examples
    --------
    >>> print(ConfigError("[operator] mask", expected="a shape (128, 128)", came="(64, 64)", remedy="set size = 64"))
    [operator] mask: expected a shape (128, 128); came (64, 64). Remedy: set size = 64.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        came: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message, self.expected, self.came, self.remedy = message, expected, came, remedy
        parts = [f"expected {expected}"] if expected else []
        parts += [f"came {came}"] if came else []
        text = message + (": " + "; ".join(parts) if parts else "")
        text = text if text.endswith((".", "!", "?")) else text + "."
        super().__init__(text + (f" Remedy: {remedy.rstrip('.?')}." if remedy else ""))


class ConfigError(StabtestError):
    """The configuration file or an argument of the command line is wrong."""


class NetworkError(StabtestError):
    """The user's network cannot be loaded, or does not do what was declared of it."""


class DataError(StabtestError):
    """A data file cannot be read or does not hold what was declared."""


class OperatorError(StabtestError):
    """A tensor does not fit a forward model, or a forward model is malformed."""


class SearchError(StabtestError):
    """A worst-case search was set up wrongly."""


class BoundsError(StabtestError):
    """A Lipschitz bound was asked for wrongly, or contradicts a measured gain."""


class AuditError(StabtestError):
    """An audit cannot be planned, resumed or assembled."""


class IncompleteError(AuditError):
    """An audit ended early through no fault of its inputs; what is done is kept and the same command goes on (exit status 3)."""


def refused(message: str, error: OSError, *, remedy: str) -> AuditError:
    """What the disk refused to write.

    Parameters
    ----------
    message
        What could not be written.
    error
        Of the disk.
    remedy
        What to do about it.

    Returns
    -------
    AuditError
        An `IncompleteError` where the disk is full: it is nothing that is wrong with the audit.

    Examples
    --------
    >>> refused("result of unit 1", OSError(28, "No space left on device"), remedy="make room")
    IncompleteError('result of unit 1: expected a disk that can be written; came No space left on device. Remedy: make room.')
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    kind = IncompleteError if full else AuditError
    return kind(message, expected="a disk that can be written", came=error.strerror or str(error), remedy=remedy)
