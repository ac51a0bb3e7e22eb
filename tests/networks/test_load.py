"""Factories from modules and files, and what is said when they fail."""

import hashlib
import sys

import pytest
import torch

from stabtest.errors import NetworkError
from stabtest.networks import load_factory, sha256

NETWORK = """
from torch import nn

class Nets:
    @staticmethod
    def wide(width=8):
        return nn.Conv2d(1, width, 3)

def make(width, *, bias=True):
    return nn.Conv2d(1, width, 1, bias=bias)

def broken():
    raise RuntimeError("no such architecture")

def number():
    return 3

net = nn.Conv2d(1, 5, 1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mynet.py").write_text(NETWORK)
    return tmp_path


@pytest.mark.parametrize("spec", ["mynet.py:make", "mynet:make", "./mynet.py:make"])
def test_a_function_of_a_file_beside_the_configuration(folder, spec):
    network = load_factory(spec, arguments={"width": 4, "bias": False}, base_dir=folder)
    assert (network.out_channels, network.bias) == (4, None)


def test_an_absolute_path(folder, tmp_path_factory):
    spec = f"{folder / 'mynet.py'}:make"
    assert load_factory(spec, arguments={"width": 2}, base_dir=tmp_path_factory.mktemp("elsewhere")).out_channels == 2


def test_a_dotted_name_and_an_instance(folder):
    assert load_factory("mynet.py:Nets.wide", base_dir=folder).out_channels == 8
    assert load_factory("mynet.py:net", base_dir=folder).out_channels == 5


def test_an_installed_module():
    assert isinstance(load_factory("torch.nn:Identity"), torch.nn.Identity)


def test_a_package_beside_the_configuration(tmp_path):
    package = tmp_path / "ownpackage_a"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text("SIZE = 7\n")
    (package / "net.py").write_text(
        "from torch import nn\nfrom .layers import SIZE\ndef make(): return nn.Conv2d(1, SIZE, 1)\n"
    )
    assert load_factory("ownpackage_a.net:make", base_dir=tmp_path).out_channels == 7


def test_a_file_may_import_its_neighbour(tmp_path):
    nets = tmp_path / "nets"
    nets.mkdir()
    (nets / "neighbour_b.py").write_text("SIZE = 6\n")
    (nets / "unet.py").write_text(
        "from torch import nn\nimport neighbour_b\ndef make(): return nn.Conv2d(1, neighbour_b.SIZE, 1)\n"
    )
    assert load_factory("nets/unet.py:make", base_dir=tmp_path).out_channels == 6


def test_two_files_of_one_name_do_not_meet(tmp_path):
    for width in (3, 4):
        (tmp_path / str(width)).mkdir()
        (tmp_path / str(width) / "samename.py").write_text(
            f"from torch import nn\ndef make(): return nn.Conv2d(1, {width}, 1)\n"
        )
    networks = [load_factory("samename:make", base_dir=tmp_path / str(width)) for width in (3, 4)]
    assert [network.out_channels for network in networks] == [3, 4]


def test_a_package_shadowed_by_an_imported_one_is_refused(tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text("")
    with pytest.raises(NetworkError, match="imported already"):
        load_factory("json:loads", base_dir=tmp_path)


def test_the_import_path_is_as_before(folder):
    before = list(sys.path)
    load_factory("mynet:net", base_dir=folder)
    with pytest.raises(NetworkError):
        load_factory("mynet:broken", base_dir=folder)
    assert sys.path == before


def test_a_callable_that_is_no_module(tmp_path):
    (tmp_path / "vendor.py").write_text("def recon(y, A):\n    return A.pseudo_inverse(y)\ndef make():\n    return recon\n")
    assert callable(load_factory("vendor.py:make", base_dir=tmp_path))


@pytest.mark.parametrize(
    ("spec", "arguments", "said"),
    [
        ("mynet", {}, "module:factory"),
        ("mynet:", {}, "module:factory"),
        (":make", {}, "module:factory"),
        ("C:\\nets\\unet.py", {}, "module:factory"),
        ("nosuch.py:make", {}, "no such file"),
        ("nosuchmodule_c:make", {}, "ModuleNotFoundError"),
        ("mynet:mak", {"width": 1}, "did you mean make"),
        ("mynet:make", {}, "missing a required"),
        ("mynet:make", {"widht": 2}, r"\(width, \*, bias=True\)"),
        ("mynet:broken", {}, "no such architecture"),
        ("mynet:number", {}, "int"),
        ("mynet:net", {"width": 1}, "unexpected|got an|multiple|do not fit"),
    ],
)
def test_what_is_said(folder, spec, arguments, said):
    with pytest.raises(NetworkError, match=said) as caught:
        load_factory(spec, arguments=arguments, base_dir=folder)
    assert repr(spec) in str(caught.value)


def test_a_syntax_error_names_the_line(tmp_path):
    (tmp_path / "typo.py").write_text("x = 1\ndef make(:\n    pass\n")
    with pytest.raises(NetworkError, match="line 2"):
        load_factory("typo.py:make", base_dir=tmp_path)


def test_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_sha256_of_a_missing_file(tmp_path):
    with pytest.raises(NetworkError, match="nosuch"):
        sha256(tmp_path / "nosuch")
