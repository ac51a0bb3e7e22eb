"""A program as a method: files go out and come back as they should, and everything that can go wrong is said."""

import sys

import pytest
import torch

from stabtest.errors import NetworkError
from stabtest.networks import Program, wrap
from stabtest.operators import Fourier

COPY = "import sys, numpy as n; n.save(sys.argv[2], {} * n.load(sys.argv[1]))"


def python(code, **options):
    return Program(f'{sys.executable} -c "{code}" {{measurements}} {{output}}', **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.float64, torch.complex128])
def test_what_is_given_comes_back(dtype):
    given = torch.randn(2, 3, 4, 5, dtype=dtype)
    made = python(COPY.format(2))(given)
    assert made.dtype == dtype
    torch.testing.assert_close(made, 2 * given)


def test_it_is_a_method_of_the_whole_project():
    operator = Fourier(torch.rand(8, 8) > 0.5)
    y = operator.forward(torch.randn(2, 1, 8, 8, dtype=torch.complex64))
    f = wrap(python(COPY.format(3)), takes="pseudo_inverse")
    torch.testing.assert_close(f(y, operator), 3 * operator.pseudo_inverse(y))


def test_an_image_without_channels_is_one():
    code = "import sys, numpy as n; n.save(sys.argv[2], n.load(sys.argv[1])[0])"
    assert python(code)(torch.ones(2, 1, 4, 5)).shape == (2, 1, 4, 5)


def test_hdf5_holds_measurements_and_the_scan(tmp_path):
    script = tmp_path / "recon.py"
    mask = torch.rand(8, 8) > 0.5
    operator = Fourier(mask)
    script.write_text(
        "import sys, h5py\n"
        "with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2], 'w') as g:\n"
        "    g['image'] = f['measurements'][()] * f['mask'][()]\n"
        "    g['other'] = [1.0]\n"
        f"    assert set(f.attrs) == set({sorted(operator.describe())})\n"
    )
    program = Program(f"{sys.executable} recon.py {{measurements}} {{output}}", format="hdf5", folder=tmp_path)
    f = wrap(program, takes="measurements+operator")
    y = operator.forward(torch.randn(1, 1, 8, 8, dtype=torch.complex64))
    torch.testing.assert_close(f(y, operator), y * mask)


def test_no_shell_runs():
    code = "import sys, numpy as n; n.save(sys.argv[2], n.full((2, 2), len(sys.argv[3])))"
    program = Program(f"{sys.executable} -c \"{code}\" {{measurements}} {{output}} '$HOME; x'")
    assert program(torch.zeros(1, 1, 2, 2)).unique().tolist() == [len("$HOME; x")]


WRONG = {
    "fails": ("import sys; sys.exit('out of film')", "status 0.*out of film"),
    "writes nothing": ("pass", "none was written"),
    "writes text": ("import sys; open(sys.argv[2], 'w').write('no array')", "an array"),
    "writes objects": ("import sys, numpy as n; n.save(sys.argv[2], n.array([{}], dtype=object))", "an array"),
    "writes four axes": ("import sys, numpy as n; n.save(sys.argv[2], n.zeros((1, 1, 2, 2)))", r"\(H, W\) or \(C, H, W\)"),
    "writes words": ("import sys, numpy as n; n.save(sys.argv[2], n.array([['a']]))", "numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_said(name):
    code, message = WRONG[name]
    with pytest.raises(NetworkError, match=message):
        python(code)(torch.zeros(1, 1, 2, 2))


def test_a_program_that_hangs_is_ended():
    with pytest.raises(NetworkError, match=r"within 0\.5 s"):
        python("import time; time.sleep(60)", timeout=0.5)(torch.zeros(1, 1, 2, 2))


def test_a_program_that_is_not_there():
    with pytest.raises(NetworkError, match=r"can be started.*no-such-program"):
        Program("no-such-program {measurements} {output}")(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("command", ["recon", "recon {measurements}", "recon {output}", "recon '{measurements} {output}"])
def test_a_command_that_makes_no_sense(command):
    with pytest.raises(NetworkError, match="command"):
        Program(command)


def test_two_datasets_without_a_name_are_ambiguous(tmp_path):
    code = "import sys, h5py; f = h5py.File(sys.argv[2], 'w'); f['a'] = [[1.0]]; f['b'] = [[1.0]]; f.close()"
    with pytest.raises(NetworkError, match="named image"):
        python(code, format="hdf5")(torch.zeros(1, 1, 1, 1))


def test_images_of_two_shapes_are_no_batch(tmp_path):
    code = "import sys, numpy as n; a = n.load(sys.argv[1]); n.save(sys.argv[2], n.zeros((1, 2 + int(a.flat[0]), 2)))"
    with pytest.raises(NetworkError, match="one shape"):
        python(code)(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1))
