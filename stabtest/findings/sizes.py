"""How large a perturbation was allowed to be, in words: a radius is nothing without its unit, its domain and its norm.

The units are those of `stabtest.search.radius`: relative to the measurement or image, multiples of the noise, or absolute.
"""

from __future__ import annotations

from typing import Literal

Unit = Literal["relative", "noise", "absolute"]
Norm = Literal["l2", "linf"]
Domain = Literal["measurement", "image"]


def amount(radius: float, unit: Unit) -> str:
    """A radius with its unit, in short.

    Examples
    --------
    >>> amount(0.005, "relative"), amount(2, "noise"), amount(0.25, "absolute")
    ('0.5 %', '2 x noise', '0.25')
    """
    match unit:
        case "relative":
            return f"{100 * radius:.3g} %"
        case "noise":
            return f"{radius:.3g} x noise"
        case "absolute":
            return f"{radius:.3g}"


def size_of(radius: float, unit: Unit, domain: Domain, norm: Norm) -> str:
    """A radius as the middle of a sentence that begins "a perturbation of".

    Examples
    --------
    >>> size_of(0.05, "relative", "measurement", "l2")
    "5 % of the measurement's norm"
    >>> size_of(1, "noise", "measurement", "linf")
    "at most 1 times the noise's standard deviation in every sample"
    """
    each = "pixel" if domain == "image" else "sample"
    match unit, norm:
        case "relative", "l2":
            return f"{amount(radius, unit)} of the {domain}'s norm"
        case "relative", "linf":
            return f"at most {amount(radius, unit)} of the {domain}'s largest modulus in every {each}"
        case "noise", "l2":
            return f"{radius:.3g} times the norm of the noise"
        case "noise", "linf":
            return f"at most {radius:.3g} times the noise's standard deviation in every {each}"
        case "absolute", "l2":
            return f"norm {radius:.3g} in the {domain}"
        case "absolute", "linf":
            return f"at most {radius:.3g} in every {each}"


def axis_of(unit: Unit, domain: Domain, norm: Norm) -> str:
    """What a list or an axis of radii is labelled with.

    Examples
    --------
    >>> axis_of("relative", "image", "l2"), axis_of("absolute", "measurement", "linf")
    ('relative radius ‖r‖/‖x‖', 'radius max |e|')
    """
    letter, whole = ("e", "y") if domain == "measurement" else ("r", "x")
    size, reference = (f"‖{letter}‖", f"‖{whole}‖") if norm == "l2" else (f"max |{letter}|", f"max |{whole}|")
    match unit:
        case "relative":
            return f"relative radius {size}/{reference}"
        case "noise":
            return f"radius {size}/{'(σ√n)' if norm == 'l2' else 'σ'}, multiples of the noise"
        case "absolute":
            return f"radius {size}"
