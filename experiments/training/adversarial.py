"""The losses of DAGAN: pixels, k-space, features and a game against a discriminator.

G. Yang, S. Yu, H. Dong, G. Slabaugh, P. L. Dragotti, X. Ye, F. Liu, S. Arridge, J. Keegan, Y. Guo, D. Firmin, *DAGAN: deep
de-aliasing generative adversarial networks for fast compressed sensing MRI reconstruction*, IEEE TMI 37(6), 2018. With the
network's image ``x``, the truth ``t`` and the discriminator ``D`` (positive for images that it takes for true ones):

    pixels       mean |x - t|^2
    k-space      mean |A (x - t)|^2             on the measured samples
    features     sum_l mean |D_l(x) - D_l(t)|^2
    adversary    mean softplus(-D(x))

The paper compares features of a VGG network trained on photographs. Here they are those of the discriminator's own layers
(Larsen et al., *Autoencoding beyond pixels using a learned similarity metric*, 2016), so that nothing is downloaded. The paper's
fixed weights suit its own scale of images and features; here the weights of the last two terms are set anew at every step such
that the gradient of each at the image is a fixed share of that of the pixel term (as in Esser et al., *Taming transformers*,
2021): the adversary shapes the image and never drives it. The discriminator learns by ``mean softplus(-D(t)) + softplus(D(x))``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reconstructors.layout import join
from stabtest.operators.base import LinearOperator

FEATURE_SHARE = 0.2
ADVERSARY_SHARE = 0.3
"""Norm of the gradient at the image, relative to that of the pixel term."""


class Discriminator(nn.Module):
    """Four convolutions with stride 2 and leaky ReLU, and one logit for each patch.

    Parameters
    ----------
    channels
        Of the images, ``(B, channels, H, W)``.
    width
        Channels after the first convolution, doubled by the next two.
    """

    def __init__(self, *, channels: int = 2, width: int = 16) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width, 4 * width)
        self.layers = nn.ModuleList(nn.Conv2d(source, target, 4, stride=2, padding=1) for source, target in pairwise(widths))
        self.output = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits ``(B, 1, H / 16, W / 16)`` and the features of all layers."""
        features: list[Tensor] = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.output(x), features


class Adversarial:
    """The objective of a training against a discriminator (see `experiments.training.objectives.Objective`).

    Parameters
    ----------
    operator
        The forward model, on complex images.
    learning_rate
        Of the discriminator (Adam, constant).
    """

    def __init__(self, operator: LinearOperator, *, learning_rate: float = 5e-4) -> None:
        self.operator = operator
        self.discriminator = Discriminator()
        self.optimiser = torch.optim.Adam(self.discriminator.parameters(), lr=learning_rate, betas=(0.5, 0.999))

    def loss(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, dict[str, float]]:
        """A function with the balanced gradient (its value means nothing), and the terms."""
        image = estimate.detach().requires_grad_()
        pixels = (image - target).square().mean()
        samples = self.operator.forward(join(image - target, like=image))
        logits, features = self.discriminator(image)
        with torch.no_grad():
            true_features = self.discriminator(target)[1]
        alike = torch.stack([(a - b).square().mean() for a, b in zip(features, true_features, strict=True)]).sum()
        adversary = F.softplus(-logits).mean()

        gradient = slope(pixels, image)
        size = gradient.norm()
        gradient = gradient + slope(torch.view_as_real(samples).square().mean(), image)
        for term, share in ((alike, FEATURE_SHARE), (adversary, ADVERSARY_SHARE)):
            direction = slope(term, image)
            gradient = gradient + share * size * direction / direction.norm().clamp_min(1e-20)
        terms = {"loss": pixels.item(), "features": alike.item(), "adversary": adversary.item()}
        return (estimate * gradient).sum(), terms

    def learn(self, estimate: Tensor, target: Tensor) -> dict[str, float]:
        """One step of the discriminator."""
        loss = F.softplus(-self.discriminator(target)[0]).mean() + F.softplus(self.discriminator(estimate)[0]).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"discriminator": loss.item()}

    def state_dict(self) -> dict[str, Any]:
        """Discriminator and its optimiser."""
        return {"discriminator": self.discriminator.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])


def slope(term: Tensor, image: Tensor) -> Tensor:
    """Gradient of one term at the image."""
    return torch.autograd.grad(term, image, retain_graph=True)[0]
