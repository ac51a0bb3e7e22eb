"""A matrix as an operator, against NumPy."""

import numpy as np
import pytest
import torch
from scipy import sparse

from stabtest.errors import OperatorError
from stabtest.operators import MatrixMap, OwnOperator

SHAPE = (3, 4)
R = np.random.default_rng(0).standard_normal((9, 12))
Z = R + 1j * np.random.default_rng(1).standard_normal((9, 12))
MATRICES = {
    "dense": R,
    "sparse": sparse.csc_array(R),
    "old sparse": sparse.coo_matrix(R),
    "integers": (10 * R).astype(np.int32),
}
COMPLEX = {"dense complex": Z, "sparse complex": sparse.csr_array(Z)}


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("matrix", [*MATRICES.values(), *COMPLEX.values()], ids=[*MATRICES, *COMPLEX])
def test_products_are_those_of_numpy(matrix, is_complex, generator):
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    A = OwnOperator(MatrixMap(matrix, SHAPE), SHAPE, is_complex=is_complex)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    y = A.range.randn(2, generator=generator, dtype=torch.float64)
    np.testing.assert_allclose(A(x), x.flatten(1).numpy() @ dense.T, rtol=1e-12)
    back = y.numpy() @ dense.conj()
    np.testing.assert_allclose(A.adjoint(y).flatten(1), back if is_complex else back.real, rtol=1e-12, atol=1e-12)


def test_spaces_are_complex_where_matrix_or_image_are():
    assert not OwnOperator(MatrixMap(R, SHAPE), SHAPE).range.is_complex
    assert OwnOperator(MatrixMap(Z, SHAPE), SHAPE).range.is_complex
    assert not OwnOperator(MatrixMap(Z, SHAPE), SHAPE).domain.is_complex
    assert OwnOperator(MatrixMap(R, SHAPE), SHAPE, is_complex=True).range.is_complex


WRONG = {
    "transposed": (R.T, "each of 3 x 4 pixels"),
    "vector": (R[0], "a column for each"),
    "NaN": (np.full((2, 12), np.nan), "finite"),
    "words": (np.full((2, 12), "a"), "numbers"),
}


@pytest.mark.parametrize(("matrix", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_matrix_of_the_image_is_refused(matrix, words):
    with pytest.raises(OperatorError, match=words):
        MatrixMap(matrix, SHAPE)
