"""The layer table: what is known of each operation, one row each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.bounds.call import Status
from stabtest.bounds.compose import Layer
from stabtest.findings.records import LayerRow

_BOOKKEEPING = frozenset({"alias", "detach", "contiguous", "clone", "lift_fresh_copy"})


def layer_rows(layers: Sequence[Layer]) -> tuple[LayerRow, ...]:
    """The rows of a composition (`stabtest.bounds.compose`), without operations that only keep the books."""
    return tuple(_row(layer, layers) for layer in layers if _shown(layer))


def status_of(value: float | None, failure: float) -> Status:
    """The word for a constant."""
    if value is None:
        return "unknown"
    if math.isinf(value):
        return "infinite"
    return "probabilistic" if failure else "certified"


def _shown(layer: Layer) -> bool:
    node = layer.node
    if node.problem is not None:
        return True
    if node.call is None:
        return node.item is not None and layer.gain.factors is None
    return node.call.operation not in _BOOKKEEPING


def _row(layer: Layer, layers: Sequence[Layer]) -> LayerRow:
    node = layer.node
    constant = layer.gain.constant if node.operands else None
    return LayerRow(
        name=node.name,
        operation=node.call.operation.removeprefix("_native_").removesuffix("_legit_no_training") if node.call else "output",
        input_shape=list(layers[node.operands[0]].node.shape) if node.operands else [],
        output_shape=list(node.shape),
        constant=constant,
        status=layer.gain.status if layer.gain.status == "on a ball" else status_of(constant, layer.gain.failure),
        method=layer.gain.method,
        cumulative=layer.bound,
        log_share=layer.log_share,
    )
