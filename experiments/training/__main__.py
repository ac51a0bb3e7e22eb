"""``python -m experiments.training NAME``: train, evaluate on held-out phantoms, write weights and model card.

Interrupted, it goes on from the last checkpoint in ``runs/NAME``. Another ``--threads`` or machine gives slightly other
weights (sums are taken in another order); the same ones give the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import reconstructors
from experiments.training.evaluate import evaluate, round_weights, write
from experiments.training.recipes import RECIPES
from experiments.training.ridge import choose_scale
from experiments.training.train import train
from reconstructors.plug_and_play import PlugAndPlay


def main() -> None:
    """Run one recipe to the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--folder", type=Path, default=None, help="checkpoints; default runs/NAME")
    parser.add_argument("--to", type=Path, default=Path(reconstructors.__file__).parent, help="where weights/ and cards/ are")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.name]
    folder = arguments.folder or Path("runs") / recipe.name
    network = train(recipe, folder, threads=arguments.threads)
    round_weights(network, recipe)
    metrics = choose_scale(network, recipe) if isinstance(network, PlugAndPlay) else {}
    metrics |= evaluate(network, recipe)
    write(network, recipe, folder, metrics, to=arguments.to, threads=arguments.threads)
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
