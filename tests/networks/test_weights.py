"""Weights from every form of file, and refusals. Nothing in a file may run."""

import argparse
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stabtest.errors import NetworkError
from stabtest.networks import load_weights, sha256
from stabtest.networks.weights import recognise


def network(width=4, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 1, 1))


def save_prefixed(path, state):
    torch.save({"state_dict": {"model." + key: value for key, value in state.items()}, "epoch": 3}, path)


FORMS = {
    "safetensors": lambda state, path: save_file(state, path),
    "state_dict": lambda state, path: torch.save(state, path),
    "legacy": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "model key": lambda state, path: torch.save({"model": state, "epoch": 7}, path),
    "lightning": lambda state, path: save_prefixed(path, state),
    "data parallel": lambda state, path: torch.save({"module." + key: value for key, value in state.items()}, path),
    "safetensors prefixed": lambda state, path: save_file({"net.unet." + key: value for key, value in state.items()}, path),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_loads_whatever_its_name(tmp_path, form):
    path = tmp_path / "weights.dat"
    FORMS[form](network(seed=1).state_dict(), path)
    module = network(seed=2)
    loaded = load_weights(module, path)
    for value, expected in zip(module.state_dict().values(), network(seed=1).state_dict().values(), strict=True):
        assert torch.equal(value, expected)
    assert loaded.sha256 == sha256(path)


def test_a_prefix_is_taken_off_and_what_lies_beside_it_is_named(tmp_path):
    state = {"unet." + key: value for key, value in network().state_dict().items()}
    torch.save({"state_dict": {**state, "loss.w": torch.ones(1)}}, tmp_path / "w")
    loaded = load_weights(network(seed=1), tmp_path / "w")
    assert (loaded.prefix, loaded.ignored, loaded.kind) == ("unet.", ("loss.w",), "torch")


def test_a_missing_batch_counter_does_not_matter(tmp_path):
    state = {key: value for key, value in network().state_dict().items() if "num_batches" not in key}
    save_file(state, tmp_path / "w")
    load_weights(network(seed=1), tmp_path / "w")


def test_half_precision_weights_are_converted(tmp_path):
    save_file({key: value.to(torch.bfloat16) for key, value in network().state_dict().items()}, tmp_path / "w")
    module = network(seed=1)
    load_weights(module, tmp_path / "w")
    assert module[0].weight.dtype == torch.float32


def test_other_shapes_are_listed_with_both(tmp_path):
    save_file(network(width=6).state_dict(), tmp_path / "w")
    with pytest.raises(NetworkError) as caught:
        load_weights(network(width=4), tmp_path / "w")
    assert "0.weight (expected (4, 1, 3, 3), found (6, 1, 3, 3))" in str(caught.value)


def test_at_most_five_culprits_are_listed(tmp_path):
    save_file(network(width=6).state_dict(), tmp_path / "w")
    with pytest.raises(NetworkError, match=r"7 shapes differ: .*and 2 more") as caught:
        load_weights(network(width=4), tmp_path / "w")
    assert str(caught.value).count("found (") == 5


def test_missing_and_surplus_names_are_listed(tmp_path):
    state = network().state_dict()
    state["head.weight"] = state.pop("2.weight").clone()
    save_file(state, tmp_path / "w")
    with pytest.raises(NetworkError, match=r"1 missing in the file: 2\.weight; 1 not in the network: head\.weight"):
        load_weights(network(), tmp_path / "w")


def test_a_refusal_leaves_the_network_as_it_was(tmp_path):
    state = network(seed=1).state_dict()
    del state["2.bias"]
    save_file(state, tmp_path / "w")
    module = network(seed=2)
    with pytest.raises(NetworkError):
        load_weights(module, tmp_path / "w")
    for value, expected in zip(module.state_dict().values(), network(seed=2).state_dict().values(), strict=True):
        assert torch.equal(value, expected)


def test_weights_of_nan_are_refused(tmp_path):
    state = network().state_dict()
    state["0.bias"][1] = float("nan")
    save_file(state, tmp_path / "w")
    with pytest.raises(NetworkError, match=r"finite.*0\.bias"):
        load_weights(network(), tmp_path / "w")


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("form", ["torch zip", "torch legacy", "pickle 0", "pickle 2", "pickle 5"])
def test_a_hostile_file_is_refused_named_and_not_run(tmp_path, form):
    mark, path = tmp_path / "ran", tmp_path / "w.pt"
    content = {"state_dict": network().state_dict(), "extra": Hostile(mark)}
    if form.startswith("torch"):
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch zip")
    else:
        path.write_bytes(pickle.dumps(Hostile(mark), protocol=int(form[-1])))
    with pytest.raises(NetworkError) as caught:
        load_weights(network(), path)
    assert not mark.exists()
    if form != "pickle 0":  # text without a magic number: not recognised as anything
        assert "run code" in str(caught.value)
        assert "system" in str(caught.value)


def test_the_hostile_file_would_have_run(tmp_path):
    """The control of the test above."""
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps(Hostile(mark)))
    assert mark.exists()


def test_a_whole_module_is_refused_with_the_remedy(tmp_path):
    torch.save(network(), tmp_path / "w")
    with pytest.raises(NetworkError, match=r"torch\.nn\.modules.*state_dict"):
        load_weights(network(), tmp_path / "w")


def test_a_checkpoint_with_hyperparameters_of_a_class_is_refused_by_name(tmp_path):
    torch.save({"state_dict": network().state_dict(), "hparams": argparse.Namespace(lr=1)}, tmp_path / "w")
    with pytest.raises(NetworkError, match=r"argparse\.Namespace"):
        load_weights(network(), tmp_path / "w")


def bad_files():
    return {
        "empty": (b"", "empty"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "LFS"),
        "html": (b"<!DOCTYPE html><html>404</html>", "web page"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        "text": (b"hello weights", "begins with"),
        "cut zip": (b"PK\x03\x04" + bytes(100), "damaged"),
    }


@pytest.mark.parametrize("case", bad_files())
def test_what_a_bad_file_seems_to_be(tmp_path, case):
    content, said = bad_files()[case]
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(NetworkError, match=said) as caught:
        load_weights(network(), tmp_path / "w.safetensors")
    assert "w.safetensors" in str(caught.value)


@pytest.mark.parametrize("form", ["safetensors", "state_dict", "legacy"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(tmp_path, form, share):
    path = tmp_path / "w"
    FORMS[form](network().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(NetworkError, match=str(path)):
        load_weights(network(), path)


@pytest.mark.parametrize(
    ("mark", "offset", "value"),
    [(b"PK\x01\x02", 8, 1), (b"PK\x01\x02", 6, 99)],
    ids=["encrypted", "version of zip"],
)
def test_an_archive_that_says_it_cannot_be_read_is_refused(tmp_path, mark, offset, value):
    path = tmp_path / "w"
    torch.save(network().state_dict(), path)
    content = bytearray(path.read_bytes())
    place = content.find(mark)
    while place >= 0:
        content[place + offset] = value
        place = content.find(mark, place + 4)
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=str(path)):
        load_weights(network(), path)


def test_a_missing_file(tmp_path):
    with pytest.raises(NetworkError, match="nosuch"):
        load_weights(network(), tmp_path / "nosuch")


def test_torchscript_is_recognised(tmp_path):
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        for name in ("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"):
            archive.writestr(name, b"")
    with pytest.raises(NetworkError, match="TorchScript"):
        recognise(tmp_path / "w")


def test_npz_is_recognised(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.ones(3))
    with pytest.raises(NetworkError, match="zip archive without weights"):
        recognise(tmp_path / "w.npz")


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path):
    torch.save({"optimizer": {"lr": 1.0}, "epoch": 2}, tmp_path / "w")
    with pytest.raises(NetworkError, match="optimizer, epoch"):
        load_weights(network(), tmp_path / "w")


def test_a_callable_has_no_weights(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "w")
    with pytest.raises(NetworkError, match=r"nn\.Module"):
        load_weights(lambda x: x, tmp_path / "w")
