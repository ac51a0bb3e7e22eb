"""Observers: linear readers of an image that know what they look for and where.

Every score is ``w . g`` of the magnitude image ``g`` (of the values, for real images); the observers differ in the template ``w``.

**Fixed template**, the non-prewhitening observer (Wagner, Brown, *Phys. Med. Biol.* 30 (1985) 489-518): ``w = s``, what is looked
for, whatever the noise. Nothing is trained if ``s`` is what a perfect reconstruction shows. For a linear method with the signal
``m`` and the covariance ``K`` of its images,

    d'  =  s . m / sqrt(s . K s).

**Channelised Hotelling** (Myers, Barrett, *J. Opt. Soc. Am. A* 4 (1987) 2447-2457): the best linear template in the span of the
channels ``U``, whose responses ``v = U g`` have the means ``v_0, v_1`` and the covariance ``S = (S_0 + S_1) / 2``,

    w  =  U^T S^-1 (v_1 - v_0),        d'^2  =  (v_1 - v_0) . S^-1 (v_1 - v_0).

**Few training images.** Means and covariance come from ``n`` images of each kind, and the scores from *other* noise. The template
is then off, and for normal responses of ``m`` channels with ``nu = 2 n - 2`` the scores have about

    d_n'^2  =  d'^2  .  d'^2 / (d'^2 + 2 m / n)  .  (nu - m) (nu - m - 3) / ((nu - 1) (nu - m - 1)),

from the moments of the inverse Wishart distribution: ``E w = nu / (nu - m - 1) S^-1 (v_1 - v_0)`` and
``E S_n^-1 S S_n^-1 = nu^2 (nu - 1) / ((nu - m) (nu - m - 1) (nu - m - 3)) S^-1`` (Haff, *J. Multivariate Anal.* 9 (1979) 531-544;
cf. Fukunaga, Hayes, *IEEE Trans. Pattern Anal. Mach. Intell.* 11 (1989) 873-885). So a trained observer is *worse* than its
ideal, never better; scored on its own training images it would look better. `trained_detectability` gives the size of it. Below
`LEAST_PER_CHANNEL` images of each kind per channel the observer is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import DataError

Array = NDArray[np.float64]

LEAST_PER_CHANNEL = 5
"""Training images of each kind that a channel needs: at that number a ``d'`` of 2 loses about a tenth."""
RIDGE = 1e-10
"""Added to the unit diagonal of the correlation of the responses, so that channels that are alike can be inverted."""


@dataclass(frozen=True, eq=False)
class TemplateObserver:
    """A fixed template.

    Parameters
    ----------
    template
        ``w``, ``(H, W)``, real.

    Examples
    --------
    >>> observer = TemplateObserver(torch.eye(4, dtype=torch.float64))
    >>> observer.score(torch.ones(2, 1, 4, 4))
    array([4., 4.])
    """

    template: Tensor

    def score(self, images: Tensor) -> Array:
        """Scores ``(N,)`` of images ``(N, 1, H, W)``, real or complex."""
        return respond(self.template[None], images)[:, 0]


@dataclass(frozen=True, eq=False)
class HotellingObserver:
    """A channelised Hotelling observer, trained.

    Parameters
    ----------
    channels
        ``U``, ``(m, H, W)``, float64.
    weights
        ``S^-1 (v_1 - v_0)``, ``(m,)``.
    training
        Images of each kind that it was trained on.
    """

    channels: Tensor
    weights: Array
    training: int

    @property
    def template(self) -> Tensor:
        """``w = U^T S^-1 (v_1 - v_0)``, ``(H, W)``."""
        return torch.einsum("m,mhw->hw", torch.from_numpy(self.weights), self.channels)

    def score(self, images: Tensor) -> Array:
        """Scores ``(N,)`` of images ``(N, 1, H, W)``, real or complex."""
        return weigh(respond(self.channels, images), self.weights)


def non_prewhitening(absent: Tensor, present: Tensor) -> TemplateObserver:
    """The fixed template where the signal is not known: the difference of the means of training images.

    Parameters
    ----------
    absent, present
        Training images ``(N, 1, H, W)``; the observer must be tested on others.

    Examples
    --------
    >>> trained = non_prewhitening(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2))
    >>> trained.template.unique()
    tensor([1.], dtype=torch.float64)
    """
    return TemplateObserver((magnitudes(present).mean(0) - magnitudes(absent).mean(0))[0])


def hotelling(channels: Tensor, absent: Tensor, present: Tensor) -> HotellingObserver:
    """Train a channelised Hotelling observer.

    Parameters
    ----------
    channels
        ``U``, ``(m, H, W)``.
    absent, present
        Training images ``(N, 1, H, W)``; the observer must be tested on others.

    Raises
    ------
    DataError
        If there are fewer than `LEAST_PER_CHANNEL` images of each kind per channel.

    Examples
    --------
    >>> noise = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    >>> observer = hotelling(torch.ones(1, 3, 3, dtype=torch.float64), noise[:10], noise[10:] + 1)
    >>> observer.training, observer.weights.shape
    (10, (1,))
    """
    weights = hotelling_weights(respond(channels, absent), respond(channels, present))
    return HotellingObserver(channels, weights, min(len(absent), len(present)))


def hotelling_weights(absent: Array, present: Array) -> Array:
    """``S^-1 (v_1 - v_0)`` from responses.

    Parameters
    ----------
    absent, present
        Responses ``(n, m)`` of the training images.

    Returns
    -------
    ndarray
        ``(m,)``; zeros where the responses neither vary nor differ: such an observer has nothing to go by.

    Raises
    ------
    DataError
        If there are too few images, or the images do not have the same number of responses.

    Examples
    --------
    >>> v = np.random.default_rng(0).standard_normal((2000, 2))
    >>> bool(np.abs(hotelling_weights(v[:1000], v[1000:] + [2.0, 0.0]) - [2.0, 0.0]).max() < 0.2)
    True
    """
    if absent.ndim != 2 or present.ndim != 2 or absent.shape[1] != present.shape[1]:
        raise DataError(
            "Hotelling observer", expected="responses (n, m) of both kinds", came=f"{absent.shape}, {present.shape}"
        )
    channels, images = absent.shape[1], min(len(absent), len(present))
    if images < least_training(channels):
        raise DataError(
            f"Hotelling observer of {channels} channels",
            expected=f"at least {least_training(channels)} training images of each kind ({LEAST_PER_CHANNEL} per channel)",
            came=str(images),
            remedy="train on more noise realisations, or use fewer channels",
        )
    covariance = np.atleast_2d(np.cov(absent.T) + np.cov(present.T)) / 2
    difference = present.mean(0) - absent.mean(0)
    spread = np.sqrt(np.diag(covariance))
    size = float(np.abs(np.concatenate([absent, present])).max())
    # What does not vary beyond rounding gets a spread of the rounding: it is neither divided by zero nor thrown away.
    spread = np.maximum(spread, np.finfo(np.float64).eps * size)
    if not spread.max() > 0:
        return np.zeros(channels)
    correlation = covariance / np.outer(spread, spread)
    solved: Array = np.linalg.solve(correlation + RIDGE * np.eye(channels), difference / spread) / spread
    return solved


def least_training(channels: int) -> int:
    """Fewest training images of each kind for so many channels.

    Examples
    --------
    >>> least_training(5)
    25
    """
    return max(2, LEAST_PER_CHANNEL * channels)


def trained_detectability(ideal: float, *, channels: int, images: int) -> float:
    """About the ``d'`` on test images of a Hotelling observer trained on few.

    Parameters
    ----------
    ideal
        ``d'`` with means and covariance known.
    channels, images
        ``m``, and training images of each kind ``n``.

    Returns
    -------
    float
        ``d_n'`` of this module's head; NaN where the moments do not exist (``2 n - 2 <= m + 3``).

    Examples
    --------
    >>> [round(trained_detectability(2.0, channels=5, images=n), 2) for n in (25, 50, 500)]
    [1.78, 1.89, 1.99]
    """
    m, nu = channels, 2 * images - 2
    if nu <= m + 3:
        return math.nan
    square = ideal * ideal
    means = square / (square + 2 * m / images)
    covariance = (nu - m) * (nu - m - 3) / ((nu - 1) * (nu - m - 1))
    return math.sqrt(square * means * covariance)


def respond(templates: Tensor, images: Tensor) -> Array:
    """Responses ``v_j = sum_p u_j(p) |g(p)|`` of every image to every template.

    Parameters
    ----------
    templates
        ``(m, H, W)``, real.
    images
        ``(N, 1, H, W)``, real or complex.

    Returns
    -------
    ndarray
        ``(N, m)``, float64.

    Raises
    ------
    DataError
        If heights or widths differ.

    Examples
    --------
    >>> respond(torch.ones(1, 2, 2), torch.full((3, 1, 2, 2), 3 + 4j)).tolist()
    [[20.0], [20.0], [20.0]]
    """
    if images.ndim != 4 or templates.ndim != 3 or images.shape[2:] != templates.shape[1:]:
        raise DataError(
            "observer", expected=f"images (N, 1, {', '.join(map(str, templates.shape[1:]))})", came=str(tuple(images.shape))
        )
    kernel = templates.detach().to("cpu", torch.float64).flatten(1)
    return (magnitudes(images).flatten(1) @ kernel.T).numpy()


def rounding(templates: Tensor, image: Tensor) -> Array:
    """What the rounding of the images' own precision can change in a response: ``eps sum_p |u_j(p)| |g(p)|``, shape ``(m,)``.

    Examples
    --------
    >>> bool(rounding(torch.ones(1, 2, 2), torch.ones(1, 1, 2, 2))[0] == 4 * 2.0**-23)
    True
    """
    eps = torch.finfo(image.dtype).eps
    return eps * respond(templates.abs(), image.abs())[0]


def settle(responses: Array, step: Array) -> Array:
    """Responses on a grid as coarse as `rounding`, so that what differs by rounding only counts as a tie.

    A network that always returns the same image would otherwise be "told apart" by the last bit.

    Examples
    --------
    >>> settle(np.array([[1.0], [1.0 + 1e-9], [1.1]]), np.array([2.0**-20])).round(3).tolist()
    [[1.0], [1.0], [1.1]]
    """
    known = step > 0
    settled: Array = np.where(known, np.round(responses / np.where(known, step, 1)) * step, responses)
    return settled


def weigh(responses: Array, weights: Array) -> Array:
    """Scores ``v . w`` of responses ``(n, m)``, equal where the responses are, whatever the order of the additions.

    Examples
    --------
    >>> weigh(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])).round(9).tolist()
    [-1.0, -1.0]
    """
    scores: Array = responses @ weights
    bits = np.abs(responses).max(0, initial=0.0) @ np.abs(weights) * 2.0**-48
    return settle(scores, np.asarray(bits))


def magnitudes(images: Tensor) -> Tensor:
    """What a reader sees: the moduli of complex images, the values of real ones; float64 on the CPU."""
    images = images.detach()
    return (images.abs() if images.is_complex() else images).to("cpu", torch.float64)
