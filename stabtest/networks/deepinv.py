"""The calling convention of deepinv's networks: ``module(y, physics)``.

From https://github.com/deepinv/deepinv (`deepinv/physics/mri.py`, `tomography.py`, `functional/radon.py`,
`utils/mixins.py`; Tachella et al., arXiv:2505.20160). Complex tensors have an axis of length two (real, imaginary) after
the batch axis: images ``(B, 2, H, W)``, k-space ``(B, 2, H, W)`` of one coil and ``(B, 2, N, H, W)`` of ``N``. The centred
orthonormal transform is ours, the mask is ``(1, 2, H, W)``. Sinograms are ``(B, 1, detectors, views)``: ours transposed.

The package itself is not needed here: `Physics` is the part of its interface that reconstruction networks use. It carries
no noise level (``physics.noise_model`` has no ``sigma``), and its units are those of our operator: a network trained on a
`Tomography` with ``normalize=True`` saw measurements divided by the norm of that operator, and needs a wrapper that
does the same.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from stabtest.errors import NetworkError
from stabtest.networks.channels import join_complex, split_complex
from stabtest.operators import Fourier, LinearOperator, MultiCoilFourier, Radon, conjugate_gradient


def measurement_to_deepinv(y: Tensor, operator: LinearOperator) -> Tensor:
    """Our measurement in deepinv's layout.

    Parameters
    ----------
    y
        ``(B, *operator.range.shape)``.
    operator
        Says what the axes are.

    Returns
    -------
    Tensor
        Real: ``(B, 2, H, W)`` for one coil, ``(B, 2, N, H, W)`` for a multi-coil operator, ``(B, 1, detectors, views)`` for a
        sinogram, unchanged for other real measurements.

    Examples
    --------
    >>> measurement_to_deepinv(torch.zeros(1, 1, 5, 12), Radon(8, 5, 12)).shape
    torch.Size([1, 1, 12, 5])
    """
    if isinstance(operator, Radon):
        return y.transpose(-2, -1)
    if isinstance(operator, MultiCoilFourier):
        return torch.view_as_real(y.resolve_conj()).movedim(-1, 1)
    return split_complex(y) if y.is_complex() else y


def measurement_from_deepinv(y: Tensor, operator: LinearOperator) -> Tensor:
    """Inverse of `measurement_to_deepinv`."""
    if isinstance(operator, Radon):
        return y.transpose(-2, -1)
    if isinstance(operator, MultiCoilFourier):
        return torch.view_as_complex(y.movedim(1, -1).contiguous())
    return join_complex(y) if operator.range.is_complex else y


class Physics:
    """What a deepinv network sees of an operator.

    Parameters
    ----------
    operator
        The forward model.
    like
        A measurement; buffers take its device and precision.

    Attributes
    ----------
    mask
        Real ``(1, 2, H, W)``, or None.
    coil_maps
        Complex ``(1, N, H, W)``, or None.
    angles
        View angles in degrees, or None.
    img_size
        Shape of an image in deepinv's layout, without the batch axis.
    noise_model
        Empty: no noise level is known here.

    Examples
    --------
    >>> mask = torch.ones(4, 6, dtype=torch.bool)
    >>> physics = Physics(Fourier(mask), like=torch.zeros(1))
    >>> physics.A(torch.ones(1, 2, 4, 6)).shape, physics.mask.shape
    (torch.Size([1, 2, 4, 6]), torch.Size([1, 2, 4, 6]))
    """

    def __init__(self, operator: LinearOperator, *, like: Tensor) -> None:
        self._real = like.real.dtype if like.is_complex() else like.dtype
        self.device = like.device
        self.noise_model = SimpleNamespace()
        self._bind(operator)

    def _bind(self, operator: LinearOperator) -> None:
        """Take an operator and show its parameters in deepinv's layout."""
        self.operator = operator
        channels = 2 if operator.domain.is_complex else operator.domain.shape[0]
        self.img_size = (channels, *operator.domain.shape[1:])
        mask = getattr(operator, "mask", None)
        self.mask = mask.to(self.device, self._real).expand(1, 2, -1, -1) if isinstance(mask, Tensor) else None
        maps = getattr(operator, "sensitivities", None)
        self.coil_maps = maps.to(self.device)[None] if isinstance(maps, Tensor) else None
        angles = getattr(operator, "angles", None)
        self.angles = None if angles is None else torch.as_tensor(angles, dtype=self._real, device=self.device)

    def A(self, x: Tensor, **parameters: object) -> Tensor:  # noqa: N802 - deepinv's name
        """``A x``, noiseless; ``mask`` and ``coil_maps`` given here stay, as in deepinv."""
        self.update(**parameters)
        return measurement_to_deepinv(self.operator.forward(self._image(x)), self.operator)

    def A_adjoint(self, y: Tensor, **parameters: object) -> Tensor:  # noqa: N802
        """``A* y``, not normalised."""
        self.update(**parameters)
        return self._back(self.operator.adjoint(self._measurement(y)))

    def A_dagger(self, y: Tensor, **parameters: object) -> Tensor:  # noqa: N802
        """The operator's direct reconstruction: zero-filled, or filtered back-projection.

        For a `Tomography` recent versions of deepinv run conjugate gradients here unless ``fbp=True`` is passed; this
        is always the filtered back-projection.
        """
        self.update(**parameters)
        return self._back(self.operator.pseudo_inverse(self._measurement(y)))

    def fbp(self, y: Tensor, **parameters: object) -> Tensor:
        """Same as `A_dagger`."""
        return self.A_dagger(y, **parameters)

    def A_vjp(self, x: Tensor, v: Tensor) -> Tensor:  # noqa: N802
        """``A* v``: the operator is linear, ``x`` does not matter."""
        return self.A_adjoint(v)

    def A_adjoint_A(self, x: Tensor, **parameters: object) -> Tensor:  # noqa: N802
        """``A* A x``."""
        return self.A_adjoint(self.A(x, **parameters))

    def A_A_adjoint(self, y: Tensor, **parameters: object) -> Tensor:  # noqa: N802
        """``A A* y``."""
        return self.A(self.A_adjoint(y, **parameters))

    def prox_l2(self, z: Tensor, y: Tensor, gamma: float | Tensor, **options: object) -> Tensor:
        """``argmin_x gamma/2 ||A x - y||^2 + 1/2 ||x - z||^2`` by conjugate gradients, differentiable in ``z`` and ``y``.

        Parameters
        ----------
        z
            Image ``(B, C, H, W)``.
        y
            Measurement.
        gamma
            Not negative; a number, or a tensor with one number in all or one an image.
        **options
            ``max_iter`` (default 50) and ``tol`` (default 1e-6); others of deepinv's are ignored.
        """
        batch = z.shape[0]
        iterations, tol = _number(options, "max_iter", 50), _number(options, "tol", 1e-6)
        weights = [float(g) for g in torch.as_tensor(gamma).detach().flatten().expand(batch).tolist()]
        image, data = self._image(z), self.operator.adjoint(self._measurement(y))
        if min(weights) == max(weights) and weights[0] > 0:  # one system for the whole batch
            b = data + image / weights[0]
            return self._back(
                conjugate_gradient(self.operator, b, weight=1 / weights[0], iterations=int(iterations), tol=tol).x
            )
        if batch == 1:  # gamma = 0
            return z
        return torch.cat([self.prox_l2(z[i : i + 1], y[i : i + 1], weights[i], **options) for i in range(batch)])

    def update(self, **parameters: object) -> None:
        """Replace ``mask`` or ``coil_maps``; None and other names are ignored, as in deepinv.

        Raises
        ------
        NetworkError
            If the operator has no such parameter, or the masks of a batch differ.
        """
        mask, maps = parameters.get("mask"), parameters.get("coil_maps")
        if not isinstance(mask, Tensor) and not isinstance(maps, Tensor):
            return
        if not isinstance(self.operator, Fourier | MultiCoilFourier):
            raise NetworkError(
                "the network changes the mask or the coil maps of the physics",
                expected="an MRI operator",
                came=type(self.operator).__name__,
            )
        grid = self._grid(mask) if isinstance(mask, Tensor) else self.operator.mask
        if not isinstance(maps, Tensor):
            maps = self.coil_maps
        self._bind(Fourier(grid) if maps is None else MultiCoilFourier(grid, maps.reshape(-1, *grid.shape)))

    def update_parameters(self, **parameters: object) -> None:
        """Same as `update`."""
        self.update(**parameters)

    def __call__(self, x: Tensor, **parameters: object) -> Tensor:
        """``A x``; deepinv would add noise."""
        return self.A(x, **parameters)

    @staticmethod
    def _grid(mask: Tensor) -> Tensor:
        """A mask ``(..., H, W)`` as one boolean ``(H, W)``."""
        flat = mask.reshape(-1, *mask.shape[-2:]) != 0
        if not bool((flat == flat[:1]).all()):
            raise NetworkError("the network gives the physics several masks", expected="one mask for the batch", came="several")
        return flat[0]

    def _measurement(self, y: Tensor) -> Tensor:
        return measurement_from_deepinv(y, self.operator)

    def _image(self, x: Tensor) -> Tensor:
        return join_complex(x) if self.operator.domain.is_complex else x

    def _back(self, x: Tensor) -> Tensor:
        return split_complex(x) if self.operator.domain.is_complex else x


def _number(options: dict[str, object], name: str, default: float) -> float:
    value = options.get(name)
    return float(value) if isinstance(value, int | float) else default
