r"""Where a perturbation may live: regions of k-space, of a sinogram, of the image.

A region is a boolean tensor that broadcasts to one element of the variable's space; the perturbation is zero outside of it. In
the measurement domain it is met with what the scanner measures. The builders here make the usual ones, any other boolean tensor
does as well.

Radii in k-space are shares of the Nyquist frequency, so that they mean the same at every pixel size: the sample ``k`` of an
axis of ``N`` points, DC at ``N // 2``, has the frequency ``(k - N // 2) / N`` cycles a pixel, Nyquist is half a cycle a pixel, and

    rho(k) = 2 ((k_1 - N_1 // 2)^2 / N_1^2 + (k_2 - N_2 // 2)^2 / N_2^2)^(1/2)

is 0 at DC, 1 at the edge of an axis and ``sqrt 2`` in a corner. A sample anywhere at ``kappa`` radians a pixel has ``rho = |kappa| / pi``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators import FanBeam, FineFourier, FineMultiCoilFourier, Fourier, MultiCoilFourier, NonCartesian, Radon
from stabtest.operators.base import LinearOperator, Space


def measured_samples(operator: LinearOperator, region: Tensor | None = None, *, device: torch.device | str = "cpu") -> Tensor:
    """Which samples the scanner measures, of those in a region: boolean, ``operator.range.shape``.

    Parameters
    ----------
    operator
        Any whose `restrict` is the choice of some samples.
    region
        Boolean, broadcastable to ``operator.range.shape``; None: everywhere.
    device
        Where to compute.

    Raises
    ------
    SearchError
        If the operator's `restrict` does something else, nothing is measured in the region, or the region does not fit.

    Examples
    --------
    >>> measured_samples(Fourier(torch.eye(4) > 0)).sum()
    tensor(4)
    """
    space = operator.range
    ones = space.zeros(device=device) + 1
    probe = space.randn(generator=torch.Generator().manual_seed(0), device=device)
    chosen = operator.restrict(ones)
    measured = chosen != 0
    if not torch.equal(chosen, measured.to(ones.dtype)) or not torch.allclose(operator.restrict(probe), probe * measured):
        raise SearchError(
            f"{type(operator).__name__}: restrict mixes or weights samples",
            expected="an operator that measures some samples and not others, for a norm or a region sample by sample",
            came="another projection",
            remedy="search with norm 'l2' and without region or floor",
        )
    if not bool(measured.any()):
        raise SearchError(f"{type(operator).__name__}: nothing is measured", expected="at least one sample", came="none")
    measured = measured[0]
    if region is None:
        return measured
    inside = measured & check_region(region, space).to(measured.device)
    if not bool(inside.any()):
        raise SearchError(
            "region: nothing in it is measured",
            expected="at least one measured sample",
            came=f"none of the {int(measured.sum())}",
            remedy="choose another region; band, one_coil and views of stabtest.search.regions check what they make",
        )
    return inside


def check_region(region: Tensor, space: Space) -> Tensor:
    """Return a region that fits one element of a space.

    Raises
    ------
    SearchError
        If it is not boolean, does not broadcast to the space's shape, or is empty.
    """
    if region.dtype != torch.bool:
        raise SearchError("region", expected="a boolean tensor, True where the perturbation may live", came=str(region.dtype))
    if not fits(region, space.shape):
        raise SearchError(
            "region: wrong shape", expected=f"one that broadcasts to {space.shape}", came=f"{tuple(region.shape)}"
        )
    return _not_empty(region, "region", "at least one True")


def fits(values: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a tensor broadcasts to a shape."""
    if values.ndim > len(shape):
        return False
    return all(a in (1, b) for a, b in zip(reversed(values.shape), reversed(shape), strict=False))


def band(operator: LinearOperator, low: float, high: float) -> Tensor:
    """The measured samples with ``low <= rho < high``: a ring of k-space, of every coil.

    Parameters
    ----------
    operator
        A Fourier operator, Cartesian or not, of one coil or several.
    low, high
        Radii as shares of the Nyquist frequency; DC has 0, a corner ``sqrt 2``.

    Returns
    -------
    Tensor
        Boolean, ``operator.range.shape``.

    Raises
    ------
    SearchError
        If the operator has no k-space, the radii are not ``0 <= low < high``, or nothing is measured between them.

    Examples
    --------
    >>> A = Fourier(torch.ones(8, 8, dtype=torch.bool))
    >>> int(band(A, 0, 0.1).sum()), int(band(A, 0.25, 0.3).sum())  # DC, and its four neighbours
    (1, 4)
    """
    if not isinstance(operator, Fourier | FineFourier | MultiCoilFourier | FineMultiCoilFourier | NonCartesian):
        raise SearchError(
            "region: a band of frequencies",
            expected="an operator with a k-space",
            came=type(operator).__name__,
            remedy="give a boolean tensor of your own as the region",
        )
    if not 0 <= low < high:
        raise SearchError("region: a band of frequencies", expected="0 <= low < high", came=f"low={low}, high={high}")
    radius = operator.points.norm(dim=1) / torch.pi if isinstance(operator, NonCartesian) else _radii(operator)
    ring = (radius >= low) & (radius < high) & measured_samples(operator)
    return _not_empty(ring, f"region: frequencies from {low} to {high} of Nyquist", "at least one measured sample")


def _radii(operator: LinearOperator) -> Tensor:
    """``rho`` of a Cartesian k-space, ``(H, W)``."""
    height, width = operator.range.shape[-2:]
    # In whole numbers, so that a sample on the border of a band is on the same side whatever the rounding.
    rows = ((torch.arange(height) - height // 2) * width).double()
    columns = ((torch.arange(width) - width // 2) * height).double()
    return 2 * torch.hypot(rows[:, None], columns[None, :]) / (height * width)


def low_frequencies(operator: LinearOperator, below: float) -> Tensor:
    """The measured samples of k-space with ``rho < below``, DC among them; as `band`."""
    return band(operator, 0.0, below)


def high_frequencies(operator: LinearOperator, above: float) -> Tensor:
    """The measured samples of k-space with ``rho >= above``; as `band`."""
    return band(operator, above, torch.inf)


def one_coil(operator: LinearOperator, index: int) -> Tensor:
    """The measured samples of one coil.

    Parameters
    ----------
    operator
        A Fourier operator of several coils.
    index
        From 0.

    Returns
    -------
    Tensor
        Boolean, ``operator.range.shape``.

    Raises
    ------
    SearchError
        If the operator has no coils, or not that one.

    Examples
    --------
    >>> A = MultiCoilFourier(torch.eye(4) > 0, torch.ones(3, 4, 4, dtype=torch.complex64))
    >>> one_coil(A, 2).sum((1, 2))
    tensor([0, 0, 4])
    """
    if not isinstance(operator, MultiCoilFourier | FineMultiCoilFourier | NonCartesian):
        raise SearchError("region: one coil", expected="an operator with several coils", came=type(operator).__name__)
    coils, *samples = operator.range.shape
    if not 0 <= index < coils:
        raise SearchError("region: one coil", expected=f"an index from 0 to {coils - 1}", came=str(index))
    return (torch.arange(coils) == index).reshape(-1, *[1] * len(samples)) & measured_samples(operator)


def views(operator: LinearOperator, indices: Sequence[int]) -> Tensor:
    """Some views of a sinogram, all bins of each.

    Parameters
    ----------
    operator
        A `Radon` operator.
    indices
        Places in ``operator.angles``, from 0.

    Returns
    -------
    Tensor
        Boolean, ``(1, views, bins)``.

    Raises
    ------
    SearchError
        If the operator has no views, none is given, or one does not exist.

    Examples
    --------
    >>> views(Radon(8, 5), [0, 3])[0].any(1)
    tensor([ True, False, False,  True, False])
    """
    if not isinstance(operator, Radon | FanBeam):
        raise SearchError("region: views", expected="a Radon operator", came=type(operator).__name__)
    count = len(operator.angles)
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong or not indices:
        raise SearchError("region: views", expected=f"indices from 0 to {count - 1}", came=str(wrong or "none"))
    region = torch.zeros(operator.range.shape, dtype=torch.bool)
    region[:, list(indices)] = True
    return region


def disc(shape: tuple[int, int], centre: tuple[float, float], radius_px: float) -> Tensor:
    """The pixels whose middles lie in a disc of the image.

    Parameters
    ----------
    shape
        ``(H, W)``.
    centre
        ``(row, column)`` in pixels, possibly between two; pixel ``(0, 0)`` has its middle at ``(0, 0)``.
    radius_px
        In pixels.

    Returns
    -------
    Tensor
        Boolean, ``(H, W)``.

    Raises
    ------
    SearchError
        If no pixel is in it.

    Examples
    --------
    >>> disc((3, 4), (1, 1), 1).int()
    tensor([[0, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 0, 0]], dtype=torch.int32)
    """
    rows = torch.arange(shape[0], dtype=torch.float64) - centre[0]
    columns = torch.arange(shape[1], dtype=torch.float64) - centre[1]
    inside = torch.hypot(rows[:, None], columns[None, :]) <= radius_px
    return _not_empty(inside, f"region: disc of radius {radius_px} about {centre} in an image of {shape}", "at least one pixel")


def box(shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """The pixels of a rectangle of the image.

    Parameters
    ----------
    shape
        ``(H, W)``.
    rows, columns
        First and one past the last, from 0.

    Returns
    -------
    Tensor
        Boolean, ``(H, W)``.

    Raises
    ------
    SearchError
        If the rectangle is empty or reaches beyond the image.

    Examples
    --------
    >>> box((3, 4), (0, 2), (1, 3)).int()
    tensor([[0, 1, 1, 0],
            [0, 1, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    for name, (start, stop), size in (("rows", rows, shape[0]), ("columns", columns, shape[1])):
        if not 0 <= start < stop <= size:
            raise SearchError(f"region: box, {name}", expected=f"0 <= start < stop <= {size}", came=f"({start}, {stop})")
    region = torch.zeros(shape, dtype=torch.bool)
    region[rows[0] : rows[1], columns[0] : columns[1]] = True
    return region


def _not_empty(region: Tensor, name: str, expected: str) -> Tensor:
    if not bool(region.any()):
        raise SearchError(name, expected=expected, came="none", remedy="choose a larger region")
    return region
