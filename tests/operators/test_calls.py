"""Finding out how somebody else's operator is called."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from stabtest.errors import OperatorError
from stabtest.operators.calls import pair_of, probe

MATRIX = np.random.default_rng(3).standard_normal((7, 12))


class Images:
    """(3, 4) NumPy images."""

    def forward(self, x):
        assert isinstance(x, np.ndarray)
        assert x.shape == (3, 4)
        return MATRIX @ x.ravel()

    def adjoint(self, y):
        return (MATRIX.T @ y).reshape(3, 4)


class Batches(torch.nn.Module):
    """Tensors (B, 1, 3, 4) in the precision of a buffer."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.register_buffer("matrix", torch.tensor(MATRIX, dtype=dtype))

    def A(self, x):  # noqa: N802
        return (x.flatten(1) @ self.matrix.T)[:, None]

    def A_adjoint(self, y):  # noqa: N802
        return (y[:, 0] @ self.matrix).reshape(-1, 1, 3, 4)

    def forward(self, x):
        return self.A(x) + torch.randn(len(x), 1, 7)


class Channels:
    """A complex image as two real channels, as in deepinv's MRI."""

    def A(self, x):  # noqa: N802
        if x.is_complex() or x.shape[1] != 2:
            raise ValueError("two channels")
        return x * 2.0

    def A_adjoint(self, y):  # noqa: N802
        return y * 2.0


CASES = {
    "images": (Images(), "numpy", "image", (7,)),
    "vectors": (aslinearoperator(MATRIX), "numpy", "flat", (7,)),
    "batches": (Batches(torch.float64), "torch", "batch", (1, 7)),
    "two functions": ((lambda x: MATRIX @ x.reshape(12), lambda y: MATRIX.T @ y), "numpy", "image", (7,)),
}


def found(thing, shape=(3, 4), is_complex=False, **options):
    return probe(thing, shape, is_complex=is_complex, generator=torch.Generator().manual_seed(0), **options)


@pytest.mark.parametrize(("thing", "arrays", "layout", "measured"), CASES.values(), ids=CASES)
def test_arrays_and_layout_are_found(thing, arrays, layout, measured):
    calls = found(thing)
    assert (calls.arrays, calls.layout, calls.range.shape) == (arrays, layout, measured)


@pytest.mark.parametrize("thing", [case[0] for case in CASES.values()], ids=CASES)
def test_products_are_those_of_the_matrix(thing):
    calls = found(thing)
    x, y = torch.randn(2, 1, 3, 4, dtype=torch.float64), torch.randn(2, *calls.range.shape, dtype=torch.float64)
    np.testing.assert_allclose(calls.forward(x).flatten(1), x.flatten(1).numpy() @ MATRIX.T, rtol=1e-12)
    np.testing.assert_allclose(calls.adjoint(y).flatten(1), y.flatten(1).numpy() @ MATRIX, rtol=1e-12)


def test_a_module_in_single_precision_is_called_in_it():
    calls = found(Batches())
    assert calls.precisions == (torch.float32,)
    assert calls.forward(torch.ones(1, 1, 3, 4, dtype=torch.float64)).dtype == torch.float64


def test_single_precision_inside_is_noticed_by_what_comes_back():
    class Single(Images):
        def forward(self, x):
            return super().forward(x).astype(np.float32)

    assert found(Single()).precisions == (torch.float32,)


def test_a_complex_image_as_two_channels():
    calls = found(Channels(), is_complex=True)
    x = torch.randn(2, 1, 3, 4, dtype=torch.complex128)
    assert (calls.layout, calls.range.shape, calls.range.is_complex) == ("real-imag", (2, 3, 4), False)
    torch.testing.assert_close(calls.adjoint(calls.forward(x)), 4 * x)


def test_of_a_real_image_the_adjoint_of_a_complex_measurement_is_the_real_part():
    calls = found((np.fft.fft2, lambda y: 12 * np.fft.ifft2(y)))
    assert calls.range.is_complex
    y = torch.randn(1, *calls.range.shape, dtype=torch.complex128)
    np.testing.assert_allclose(calls.adjoint(y).flatten(), (12 * np.fft.ifft2(y.numpy())).real.ravel(), atol=1e-12)


def test_an_operator_may_write_into_its_input_and_return_a_buffer():
    buffer = np.empty((3, 4))

    def twice(x):
        x *= 2
        buffer[...] = x
        return buffer

    calls = found((twice, twice), layout="image")
    x = torch.ones(2, 1, 3, 4)
    x[1] = 5
    first = calls.forward(x)
    assert (x[0] == 1).all()
    assert first[:, 0, 0].tolist() == [2.0, 10.0]
    calls.forward(0 * x)
    assert first.max() == 10


def test_what_differs_between_batch_and_image_is_not_guessed():
    class Sum:
        def forward(self, x):
            return x.sum(axis=1)

        def adjoint(self, y):
            return np.broadcast_to(y[..., None], (*y.shape, 4)) if y.ndim == 1 else y[:, None]

    with pytest.raises(OperatorError, match=r'layout = "batch" or "image"'):
        found(Sum())
    assert found(Sum(), layout="image").range.shape == (3,)


def test_what_fails_everywhere_says_how():
    with pytest.raises(OperatorError, match=r"image: matmul"):
        found((lambda x: np.eye(5) @ x.ravel(), lambda y: y))


def test_what_has_no_maps_is_refused():
    with pytest.raises(OperatorError, match="A_adjoint"):
        pair_of(object())


def test_the_noisy_forward_of_a_physics_is_not_taken():
    assert pair_of(Batches()).names == "A, A_adjoint"
