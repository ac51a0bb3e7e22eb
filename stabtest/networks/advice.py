"""What a failed gate means and what to do: cause and remedy, in the words of somebody who trains networks."""

from __future__ import annotations

ADVICE = {
    "shape": "Compare channels, takes and the size of the images with those of the training.",
    "runs": "Compare takes, channels and the arguments of the factory with how the network was trained.",
    "finite": "Look for a division by zero, a logarithm or a root, or weights from a training that overflowed.",
    "kind": "If the network returns magnitudes, declare channels = 'magnitude'; otherwise declare the channels that it has.",
    "determinism": "Two runs on the same input differ: dropout or noise is active. Switch it off in evaluation (nn.Dropout, or "
    "training=self.training in functional.dropout), or fix its seed inside forward.",
    "batch": "An image comes out differently beside another: the network mixes the images of a batch. Batch norm in training "
    "mode or with track_running_stats=False does that, or a maximum over the whole batch. Normalise each image for itself.",
    "gradient": "Look for detach(), .data, torch.no_grad(), NumPy or rounding inside forward. A network that truly has no "
    "gradient needs a search without gradients.",
    "differences": "Autograd does not agree with central differences: part of the network is detached, quantised with a "
    "straight-through gradient, or has a custom backward that is not its derivative. A search along this gradient would "
    "understate the worst case.",
    "reacts": "Another image hardly changes the output: the network is blind to its input, stable and useless. Look for an "
    "input that is ignored, weights that were not loaded, or a scale that was not undone.",
    "accuracy": "Worse than the pseudo-inverse on clean data: weights not loaded, or another scale, channels, mask, size or "
    "anatomy than in training.",
    "adjoint": "The adjoint is not the adjoint of forward. Check the conjugation, the normalisation of the transform, and the "
    "order of mask and coils.",
}
"""Name of a gate -> what to say when it fails."""
