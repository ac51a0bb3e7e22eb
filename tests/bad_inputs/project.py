"""The good project that every case of ``cases.toml`` spoils, and how each spoilt file is made."""

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4, mode="good"):
        super().__init__()
        self.mode = mode
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 2, 3, padding=1))

    def forward(self, image):
        out = 0.98 * image + 0.001 * self.layers(image)  # shrinks the noise: better than zero-filling
        if self.mode == "raises":
            raise RuntimeError("CUDA is not what I wanted")
        return {"good": out, "nan": out * float("nan"), "shape": out[..., :-1], "channels": out[:, :1], "list": [out]}[self.mode]

def make(width=4, mode="good"):
    return Net(width, mode)

def broken():
    return 1 / 0

def leaves():
    raise SystemExit("usage: net.py --weights FILE")

def nothing():
    return None
"""

SECTIONS = {
    "audit": 'title = "Tiny"',
    "network": 'factory = "net.py:make"\nchannels = "real-imag"\nscale = "max"',
    "operator": "size = 32\nmask = { acceleration = 2.0 }",
    "data": "count = 1\nnoise = 0.1",
    "reference": 'method = "zero-filled"',
    "worst_case": "radii = [0.05]\nevaluations = 4\nnoise_draws = 2",
    "structure": "enabled = false",
    "sampling": "enabled = false",
    "lipschitz": "enabled = false",
}


def write_project(folder: Path, case: dict) -> None:
    """The good project with what the case replaces: whole sections, the whole file (``text``), or files (``make``)."""
    (folder / "net.py").write_text(NETWORK)
    text = case.get("text", "".join(f"[{name}]\n{case.get(name, body)}\n" for name, body in SECTIONS.items()))
    (folder / "tiny.toml").write_text(text + case.get("more", ""))
    for make in case.get("make", "").split():
        globals()[f"make_{make}"](folder)


def kspace(size: int = 32) -> np.ndarray:
    from stabtest.operators import fft2c
    from stabtest.phantoms import head

    return fft2c(head(size, seed=0)).numpy()[0]


def save_scan(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "scan.npy", array)


def halve(path: Path, share: float = 0.5) -> None:
    """Cut a file as an interrupted download does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


# The configuration file


def make_no_configuration(folder):
    (folder / "tiny.toml").unlink()


def make_configuration_is_a_folder(folder):
    make_no_configuration(folder)
    (folder / "tiny.toml").mkdir()


def make_configuration_in_latin1(folder):
    (folder / "tiny.toml").write_bytes('[audit]\ntitle = "Prüfung"\n'.encode("latin-1"))


def make_out_is_a_file(folder):
    (folder / "tiny-audit").write_text("a file")


# Weights


def state() -> dict[str, torch.Tensor]:
    return {
        "layers.0.weight": torch.zeros(4, 2, 3, 3),
        "layers.0.bias": torch.zeros(4),
        "layers.2.weight": torch.zeros(2, 4, 3, 3),
        "layers.2.bias": torch.zeros(2),
    }


def save_state(folder: Path, **changes) -> None:
    from safetensors.torch import save_file

    save_file({**state(), **changes}, folder / "weights.bin")


class Ran:
    """Unpickling it would write a file."""

    def __reduce__(self):
        return (open, ("ran", "w"))


def make_weights_of_another_width(folder):
    save_state(folder, **{"layers.0.bias": torch.zeros(5)})


def make_weights_of_other_names(folder):
    save_state(folder, **{"layers.9.bias": torch.zeros(5)})


def make_weights_with_nan(folder):
    save_state(folder, **{"layers.0.bias": torch.full((4,), float("nan"))})


def make_truncated_safetensors(folder):
    save_state(folder)
    halve(folder / "weights.bin", 0.9)


def make_damaged_safetensors(folder):
    save_state(folder)
    content = bytearray((folder / "weights.bin").read_bytes())
    content[9:40] = b"\xff" * 31
    (folder / "weights.bin").write_bytes(content)


def make_truncated_checkpoint(folder):
    torch.save(state(), folder / "weights.bin")
    halve(folder / "weights.bin")


def make_checkpoint_without_weights(folder):
    torch.save({"epoch": 3, "loss": 0.5}, folder / "weights.bin")


def make_checkpoint_that_runs_code(folder):
    torch.save({"state_dict": state(), "hook": Ran()}, folder / "weights.bin")


def make_bare_pickle(folder):
    (folder / "weights.bin").write_bytes(pickle.dumps(Ran()))


def make_keras_weights(folder):
    import h5py

    with h5py.File(folder / "weights.bin", "w") as file:
        file["w"] = np.zeros(3)


def make_pointer_of_git_lfs(folder):
    (folder / "weights.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


def make_web_page(folder):
    (folder / "weights.bin").write_text("<!doctype html><title>404</title>")


def make_empty_weights(folder):
    (folder / "weights.bin").touch()


def make_folder_of_weights(folder):
    (folder / "weights.bin").mkdir()


def make_npz_weights(folder):
    with (folder / "weights.bin").open("wb") as file:
        np.savez(file, w=np.zeros(3))


def make_torchscript_weights(folder):
    torch.jit.save(torch.jit.script(nn.Conv2d(2, 2, 3, padding=1)), folder / "weights.bin")


# Networks


def make_torchscript(folder):
    torch.jit.save(torch.jit.script(nn.Conv2d(2, 2, 3, padding=1)), folder / "net.bin")


def make_truncated_torchscript(folder):
    make_torchscript(folder)
    halve(folder / "net.bin")


def make_damaged_torchscript(folder):
    make_torchscript(folder)
    with zipfile.ZipFile(folder / "net.bin") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(folder / "net.bin", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, b"def forward(:" if name.endswith(".py") else content)


def make_text_for_a_network(folder):
    (folder / "net.bin").write_text("this is not a network")


def make_empty_network(folder):
    (folder / "net.bin").touch()


def make_program_of_another_size(folder):
    torch.export.save(
        torch.export.export(nn.Conv2d(2, 2, 3, padding=1).eval(), (torch.zeros(1, 2, 16, 16),)), folder / "net.bin"
    )


def make_program_in_training(folder):
    network = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 2, 32, 32),)), folder / "net.bin")


def make_damaged_onnx(folder):
    (folder / "net.bin").write_bytes(b"\x08\x07\x12" + bytes(range(256)))


def make_syntax_error(folder):
    (folder / "net.py").write_text("def make(:\n")


def make_import_of_what_is_not_there(folder):
    (folder / "net.py").write_text("import no_such_package_of_anybody\n")


def make_script_for_a_module(folder):
    (folder / "net.py").write_text("import sys\nsys.exit('usage: net.py --weights FILE')\n")


def make_program_scripts(folder):
    """Programs that fail, each in its own way."""
    (folder / "fails.py").write_text("import sys; sys.exit('no licence found')")
    (folder / "silent.py").write_text("pass")
    (folder / "vector.py").write_text("import sys, numpy; numpy.save(sys.argv[2], numpy.zeros(3))")
    (folder / "text.py").write_text("import sys; open(sys.argv[2], 'w').write('done')")
    (folder / "slow.py").write_text("import time; time.sleep(60)")


# Data


def make_kspace(folder):
    save_scan(folder, kspace())


def make_zeros(folder):
    save_scan(folder, np.zeros((32, 32), np.complex64))


def make_nan(folder):
    save_scan(folder, np.full((32, 32), np.nan, np.complex64))


def make_real_numbers(folder):
    save_scan(folder, np.ones((32, 32)))


def make_undersampled(folder):
    array = kspace()
    array[:, ::2] = 0
    array[16, 16] = kspace()[16, 16]
    save_scan(folder, array)


def make_corner_kspace(folder):
    save_scan(folder, np.fft.ifftshift(kspace()))


def make_coils(folder):
    save_scan(folder, np.broadcast_to(kspace(), (2, 4, 32, 32)).copy())


def make_stack(folder):
    save_scan(folder, np.stack([kspace()] * 3))


def make_words(folder):
    save_scan(folder, np.array([["a", "b"]]))


def make_objects(folder):
    np.save(folder / "scan.npy", np.array([Ran()], dtype=object), allow_pickle=True)


def make_empty_array(folder):
    save_scan(folder, np.zeros((0, 32), np.complex64))


def make_truncated_npy(folder):
    make_kspace(folder)
    halve(folder / "scan.npy")


def make_empty_file(folder):
    (folder / "scan.npy").touch()


def make_data_folder(folder):
    (folder / "scan.npy").mkdir()
    (folder / "scan.npy" / ".hidden").touch()


def make_two_arrays(folder):
    np.savez(folder / "scan.npz", one=kspace(), two=kspace())


def make_spreadsheet(folder):
    (folder / "scan.xlsx").write_bytes(b"PK\x03\x04")


def make_hdf5(folder):
    import h5py

    with h5py.File(folder / "scan.h5", "w") as file:
        file["kspace"] = kspace()[None]


def make_truncated_hdf5(folder):
    make_hdf5(folder)
    halve(folder / "scan.h5")


def make_hdf5_of_something_else(folder):
    import h5py

    with h5py.File(folder / "scan.h5", "w") as file:
        file["images/first"] = np.ones((4, 4))


def exchange(folder, **changes):
    """A Data Exchange file of a disc, with datasets replaced; None leaves one out."""
    import h5py

    views, rows, pixels = 24, 2, 48
    across = np.arange(pixels) - (pixels - 1) / 2
    chord = 2 * np.sqrt(np.maximum(14.0**2 - across**2, 0))
    found = {
        "data": np.broadcast_to(1000 * np.exp(-0.05 * chord), (views, rows, pixels)),
        "data_white": np.full((2, rows, pixels), 1000.0),
        "data_dark": np.zeros((2, rows, pixels)),
        "theta": np.linspace(0, 180, views, endpoint=False),
    } | changes
    with h5py.File(folder / "scan.h5", "w") as file:
        for name, values in found.items():
            if values is not None:
                file[f"exchange/{name}"] = values


def make_exchange(folder):
    exchange(folder)


def make_exchange_without_angles(folder):
    exchange(folder, theta=None)


def make_exchange_of_too_few_angles(folder):
    exchange(folder, theta=np.linspace(0, 180, 7))


def make_exchange_in_radians(folder):
    exchange(folder, theta=np.linspace(0, np.pi, 24, endpoint=False))


def make_exchange_of_equal_angles(folder):
    exchange(folder, theta=np.full(24, 90.0))


def make_exchange_with_fields_exchanged(folder):
    exchange(folder, data_white=np.zeros((2, 2, 48)) + 1.0, data_dark=np.full((2, 2, 48), 1000.0))


def make_exchange_of_one_image(folder):
    exchange(folder, data=np.ones((24, 48)))


def make_exchange_of_air(folder):
    exchange(folder, data=np.full((24, 2, 48), 1000.0))


def make_exchange_of_another_detector(folder):
    exchange(folder, data_white=np.full((2, 2, 40), 1000.0))


def make_colour(folder):
    from skimage import io as pictures

    pictures.imsave(folder / "image.png", np.arange(48 * 4, dtype=np.uint8).reshape(8, 8, 3), check_contrast=False)


def make_truncated_png(folder):
    from skimage import io as pictures

    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    pictures.imsave(folder / "image.png", noise, check_contrast=False)
    halve(folder / "image.png")


def make_black_png(folder):
    from skimage import io as pictures

    pictures.imsave(folder / "image.png", np.zeros((32, 32), np.uint8), check_contrast=False)


def make_truncated_dicom(folder):
    (folder / "image.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL")


def make_dicom_without_pixels(folder):
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(str(folder / "image.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID = "Doe^Jane"
    data.save_as(folder / "image.dcm", enforce_file_format=True)


def make_damaged_nifti(folder):
    with gzip.open(folder / "image.nii.gz", "wb") as file:
        file.write(b"not a volume")


def make_series(folder):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 3, 5), np.float32), np.eye(4)), folder / "image.nii")


def make_raw(folder):
    np.zeros((8, 8), "<i2").tofile(folder / "image.raw")


def make_flat_image(folder):
    np.save(folder / "image.npy", np.full((32, 32), 5.0))


# Operators


def make_small_mask(folder):
    np.save(folder / "mask.npy", np.ones((16, 16)))


def make_mask_of_zeros(folder):
    np.save(folder / "mask.npy", np.zeros(32))


def make_mask_of_weights(folder):
    np.save(folder / "mask.npy", np.linspace(0, 1, 32))


def make_truncated_mask(folder):
    buffer = io.BytesIO()
    np.save(buffer, np.ones((32, 32)))
    (folder / "mask.npy").write_bytes(buffer.getvalue()[:200])


# Several coils


def volume(
    folder: Path, *, mask: np.ndarray | None = None, image: np.ndarray | None = None, header: bytes | None = None, **shape
) -> None:
    """A multi-coil file as fastMRI's: k-space of two slices seen by three coils, and what a case adds."""
    import h5py

    from stabtest.operators import fft2c
    from stabtest.phantoms import coil_maps, head

    size, coils, slices = shape.get("size", 32), shape.get("coils", 3), shape.get("slices", 2)
    maps = coil_maps(size, coils, seed=0)
    values = np.stack([fft2c(head(size, seed=number) * maps[None]).numpy()[0] for number in range(slices)])
    with h5py.File(folder / "scan.h5", "w") as file:
        file["kspace"] = values if mask is None else values * (mask != 0)
        file.attrs["patient_id"] = "A"
        for name, value in (("mask", mask), ("reconstruction_rss", image)):
            if value is not None:
                file[name] = value
        if header is not None:
            file["ismrmrd_header"] = header


def make_volume(folder):
    volume(folder)


def make_volume_of_one_coil(folder):
    import h5py

    volume(folder)
    with h5py.File(folder / "scan.h5", "r+") as file:
        values = file["kspace"][:, 0]
        del file["kspace"]
        file["kspace"] = values


def make_volume_with_a_mask_of_points(folder):
    volume(folder)
    import h5py

    with h5py.File(folder / "scan.h5", "r+") as file:
        file["mask"] = np.ones((32, 32))


def make_volume_with_the_mask_of_another(folder):
    import h5py

    volume(folder)
    with h5py.File(folder / "scan.h5", "r+") as file:
        file["mask"] = np.arange(32) % 2


def make_volume_with_gaps(folder):
    import h5py

    volume(folder)
    with h5py.File(folder / "scan.h5", "r+") as file:
        file["kspace"][...] = file["kspace"][...] * (np.arange(32) % 2)


def make_volume_with_images_of_another(folder):
    volume(folder, image=np.ones((5, 32, 32)))


def make_volume_with_a_broken_image(folder):
    volume(folder, image=np.full((2, 32, 32), np.nan))


def make_truncated_volume(folder):
    volume(folder)
    halve(folder / "scan.h5")


def make_volume_with_a_radial_header(folder):
    size = "<matrixSize><x>32</x><y>32</y><z>1</z></matrixSize>"
    spaces = f"<encodedSpace>{size}</encodedSpace><reconSpace>{size}</reconSpace>"
    volume(folder, header=f"<h><encoding>{spaces}<trajectory>radial</trajectory></encoding></h>".encode())


def make_volume_with_a_broken_header(folder):
    volume(folder, header=b"<ismrmrdHeader><encoding>")


def make_real_maps(folder):
    volume(folder)
    np.save(folder / "maps.npy", np.ones((3, 32, 32)))


def make_maps_of_other_coils(folder):
    volume(folder)
    np.save(folder / "maps.npy", np.ones((5, 32, 32), complex))


def make_maps_of_other_slices(folder):
    volume(folder, slices=3)
    np.save(folder / "maps.npy", np.ones((2, 3, 32, 32), complex))


def make_two_sets_of_maps(folder):
    volume(folder)
    np.savez(folder / "maps.npz", first=np.ones((3, 32, 32), complex), second=np.ones((3, 32, 32), complex))


# Trajectories and own operators


def make_trajectory_in_cycles(folder):
    np.save(folder / "k.npy", np.stack([np.linspace(-16, 15, 32), np.zeros(32)], -1)[None])


def make_trajectory_of_three_directions(folder):
    np.save(folder / "k.npy", np.zeros((4, 32, 3)))


def make_trajectory_with_nan(folder):
    np.save(folder / "k.npy", np.full((4, 32, 2), np.nan))


def make_trajectory(folder):
    line = np.linspace(-np.pi, np.pi, 32, endpoint=False)
    np.save(folder / "k.npy", np.stack([np.stack([line * np.sin(a), line * np.cos(a)], -1) for a in (0.0, 0.8, 1.6, 2.4)]))


def make_trajectory_with_negative_weights(folder):
    make_trajectory(folder)
    np.save(folder / "w.npy", -np.ones((4, 32)))


def make_scanners(folder):
    (folder / "scanner.py").write_text(
        """
import numpy as np

class Scanner:
    def __init__(self, how="good"):
        self.how = how

    def forward(self, x):
        if self.how == "raises":
            raise RuntimeError("no licence")
        return np.abs(x) if self.how == "modulus" else 2 * x

    def adjoint(self, y):
        return y if self.how == "adjoint" else 2 * y

def make(how="good"):
    return Scanner(how)

def half():
    return 3
"""
    )


def make_matrix_of_another_size(folder):
    np.save(folder / "A.npy", np.ones((40, 100)))


def make_matrix_of_words(folder):
    np.save(folder / "A.npy", np.full((3, 1024), "a"))


def make_matrix_with_nan(folder):
    np.save(folder / "A.npy", np.full((3, 1024), np.nan))


def make_truncated_matrix(folder):
    np.save(folder / "A.npy", np.ones((40, 1024)))
    halve(folder / "A.npy")


def make_matrices(folder):
    np.savez(folder / "A.npz", first=np.ones((40, 1024)), second=np.ones((40, 1024)))
