"""Makes weights.safetensors: python experiments/own_network/train.py (about half a minute on one core)."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from my_network import make  # noqa: E402

from stabtest import networks, operators, phantoms  # noqa: E402

SIZE, NOISE = 64, 0.01


def main() -> None:
    """Train on head phantoms and write the weights."""
    torch.manual_seed(0)
    operator = operators.Fourier(operators.cartesian_random((SIZE, SIZE), acceleration=3, centre_fraction=0.1, seed=5))
    full = operators.Fourier(torch.ones(SIZE, SIZE, dtype=torch.bool)).refine(2)
    objects = torch.stack([phantoms.head(2 * SIZE, seed=seed) for seed in range(10_000_000, 10_000_200)])
    truth = operators.ifft2c(full(objects))
    network = make().train()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(1, 601):
        x = truth[torch.randint(0, len(truth), (8,))]
        y = operator(x) + operator.restrict(NOISE * torch.randn(x.shape, dtype=x.dtype))
        image = operator.pseudo_inverse(y)
        size = image.abs().amax((1, 2, 3), keepdim=True)
        given = torch.view_as_real((image / size)[:, 0]).permute(0, 3, 1, 2)
        wanted = torch.view_as_real((x / size)[:, 0]).permute(0, 3, 1, 2)
        loss = (network(given) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3e}, zero-filled {(given - wanted).square().mean().item():.3e}")
    networks.wrap(network)  # freezes it
    save_file(network.state_dict(), HERE / "weights.safetensors")


if __name__ == "__main__":
    main()
