"""A network as a user might bring it: a small residual CNN on the zero-filled image, and the factory that makes it."""

import torch
from torch import nn


class ResidualCNN(nn.Module):
    """Three convolutions that correct the zero-filled image, given as real and imaginary part."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, 2, 5, padding=2),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 2, H, W)``."""
        return image + self.layers(image)


def make(width: int = 16) -> nn.Module:
    """The factory that stabtest.toml names."""
    return ResidualCNN(width)
