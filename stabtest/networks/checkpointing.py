r"""A network that forgets its activations and computes them again: more time, less memory.

A backward pass needs what the layers put out on the way forward. Of a *block* only the input is kept here; when the backward pass
reaches it, the block runs forward once more. With ``n`` blocks of equal size the peak falls from all activations to about ``n``
inputs and one block's activations, at the cost of a second forward (T. Chen, B. Xu, C. Zhang, C. Guestrin, *Training deep nets with
sublinear memory cost*, arXiv:1604.06174). Value and gradient are those of the network: the same operations on the same numbers.

The copy made here shares every weight with the network it is made of, and leaves that as it was. Its blocks are modules of the same
classes under the same names; only their call goes through `torch.utils.checkpoint`. Moved to another device or precision, both are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stabtest.errors import NetworkError

M = TypeVar("M", bound=nn.Module)
LONG = 8
"""A plain chain of at least so many layers is cut into segments, about as many as the root of its length."""


def checkpointed(module: M, *, blocks: Sequence[str] | None = None) -> M:
    """A network whose blocks are computed again in the backward pass.

    Parameters
    ----------
    module
        The network, in evaluation mode: in training mode batch normalisation would see every batch twice.
    blocks
        Names of its blocks, as ``module.named_modules()`` has them. If not given, those of `find_blocks`.

    Returns
    -------
    nn.Module
        Of the same class, with the same parameters (not copies of them) and names. Hand it to `stabtest.networks.wrap` in place
        of ``module``.

    Raises
    ------
    NetworkError
        If the network is in training mode, is compiled to TorchScript, has no such block, or none can be found.

    Examples
    --------
    >>> network = nn.Sequential(*(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU()) for _ in range(3))).eval()
    >>> frugal = checkpointed(network)
    >>> x = torch.ones(1, 1, 4, 4, requires_grad=True)
    >>> torch.equal(*(torch.autograd.grad(f(x).sum(), x)[0] for f in (network, frugal)))
    True
    """
    _check_module(module)
    names = find_blocks(module) if blocks is None else list(blocks)
    known = dict(module.named_modules())
    if unknown := [name for name in names if name not in known]:
        raise NetworkError(
            "checkpointed: no such block",
            expected=f"names of modules, such as {', '.join(list(known)[1:6])}",
            came=", ".join(map(repr, unknown)),
        )
    if not names:
        raise NetworkError(
            f"checkpointed: {type(module).__name__} has no blocks to find",
            expected="modules inside of the network that hold layers",
            came="none",
            remedy="name the blocks",
        )
    twins: dict[int, nn.Module] = {}
    twin = _twin(module, twins)
    for block in {id(known[name]): known[name] for name in names}.values():
        _forget(twins[id(block)])
    return twin  # pyright: ignore[reportReturnType]


def find_blocks(module: nn.Module) -> list[str]:
    """The names of a network's blocks: the outermost modules that hold layers and are not mere lists of modules that do.

    A single such module is looked into; a long plain chain of layers is a block that `checkpointed` cuts into segments.

    Examples
    --------
    >>> find_blocks(nn.ModuleDict({"list": nn.ModuleList([nn.Sequential(nn.ReLU(), nn.ReLU()), nn.ReLU()]), "last": nn.ReLU()}))
    ['list.0']
    """
    prefix, inside = "", module
    while True:
        found = list(_outermost(inside, prefix))
        if not found and _is_chain(inside):
            return [prefix.rstrip(".")]
        if len(found) != 1:
            return [name for name, _ in found]
        name, inside = found[0]
        if _is_chain(inside) or not list(_outermost(inside, f"{name}.")):
            return [name]
        prefix = f"{name}."


def _outermost(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        if _is_leaf(child):
            continue
        is_list = isinstance(child, (nn.ModuleList, nn.ModuleDict)) or (
            isinstance(child, nn.Sequential) and not _is_chain(child)
        )
        found += _outermost(child, f"{prefix}{name}.") if is_list else [(f"{prefix}{name}", child)]
    return found


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _is_chain(module: nn.Module) -> bool:
    """A `Sequential` of layers."""
    return isinstance(module, nn.Sequential) and len(module) > 0 and all(_is_leaf(layer) for layer in module)


def _check_module(module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise NetworkError(
            "checkpointed: TorchScript",
            expected="a network of Python modules",
            came=type(module).__name__,
            remedy="load the network from its class and a file of weights",
        )
    if training := [name or type(module).__name__ for name, part in module.named_modules() if part.training]:
        raise NetworkError(
            "checkpointed: training mode",
            expected="a network in evaluation mode",
            came=f"{len(training)} modules in training mode, such as {training[0]}",
            remedy="call eval() on the network first",
        )


def _twin(module: nn.Module, twins: dict[int, nn.Module]) -> nn.Module:
    """The same tree of modules with the same tensors; a module that occurs twice occurs twice here."""
    if id(module) not in twins:
        twin = object.__new__(type(module))
        twin.__dict__ = dict(module.__dict__)  # with the same dictionaries of parameters and buffers: what moves one moves both
        twins[id(module)] = twin
        children = {name: None if child is None else _twin(child, twins) for name, child in module.__dict__["_modules"].items()}
        twin.__dict__["_modules"] = children
    return twins[id(module)]


def _forget(block: nn.Module) -> None:
    """Send the calls of a module through the checkpoint: whole, or a long chain in segments."""
    if isinstance(block, nn.Sequential) and _is_chain(block) and len(block) >= LONG:
        block.__dict__["forward"] = partial(_in_segments, block)
    else:
        block.__dict__["forward"] = partial(_again, block.forward)


def _again(forward: Callable[..., Any], *args: object, **kwargs: object) -> object:
    # Keywords are the block's own, whatever their names: `checkpoint` has some of the same kind.
    return checkpoint(partial(forward, **kwargs), *args, use_reentrant=False)


def _in_segments(chain: nn.Sequential, x: Tensor) -> Tensor:
    layers = list(chain)
    size = math.ceil(len(layers) / round(math.sqrt(len(layers))))
    for first in range(0, len(layers), size):
        x = checkpoint(_run, layers[first : first + size], x, use_reentrant=False)  # pyright: ignore[reportAssignmentType]
    return x


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
