"""Cases from volumes of k-space: slices, patients, coil maps, truths, masks."""

import numpy as np
import pytest
import torch

from stabtest.audit.cases import case_fingerprint, case_names, make_case
from stabtest.audit.cases.slices import file_slices, patients
from stabtest.audit.config.file import parse_config
from stabtest.audit.document.limitations import limitations
from stabtest.audit.measures import sampling_levels
from stabtest.errors import ConfigError, DataError

MULTICOIL = """
[network]
zoo = "modl-mri-coils"
[operator]
kind = "multicoil"
size = 32
mask = {{ acceleration = 2.0, centre_fraction = 0.4 }}
maps = {{ {maps} }}
[data]
kind = "kspace"
files = ["a.h5", "b.h5"]
{data}
"""
ESPIRIT = 'kind = "espirit", kernel = 5, crop = 0.8'


def config(folder, *, maps=ESPIRIT, data="row = 0", change=("", "")):
    return parse_config(MULTICOIL.format(maps=maps, data=data).replace(*change), base_dir=folder)


@pytest.fixture
def volumes(tools, write_volume, tmp_path):
    """Two volumes of 2 slices and 3 coils with a little noise, of one patient."""
    rng = np.random.default_rng(0)
    for seed, name in enumerate("ab"):
        images = tools.coil_images(seed=seed)
        k = tools.transform(images)
        k = k + 1e-3 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
        shown = np.sqrt((np.abs(images[..., 16:48, 4:36]) ** 2).sum(1))
        write_volume(k, name=f"{name}.h5", header=tools.header(), images=shown, attributes={"patient_id": "hash-of-Doe"})
    return tmp_path


@pytest.mark.parametrize("maps", [ESPIRIT, 'kind = "low-resolution"'])
def test_the_truth_is_the_coil_images_combined(volumes, tools, maps):
    """Its modulus is the root sum of squares of the noise-free coil images, where the maps see anything."""
    case = make_case(config(volumes, maps=maps), 0)
    images = tools.coil_images(seed=0)[0, :, 16:48, 4:36]
    rss = np.sqrt((np.abs(images) ** 2).sum(0))
    body = rss > 0.2 * rss.max()
    np.testing.assert_allclose(case.truth[0, 0].abs().numpy()[body] * rss.max(), rss[body], rtol=0.02)
    assert case.truth_source == "full reconstruction"
    assert case.operator.sensitivities.shape == (3, 32, 32)


def test_the_measurement_is_what_the_mask_shows_of_the_data(volumes):
    case = make_case(config(volumes), 0)
    full = case.resample(1.0)
    assert full.operator.mask.all()
    torch.testing.assert_close(case.measurement, full.measurement * case.operator.mask)
    predicted = case.operator(case.truth)
    assert float((predicted - case.measurement).norm() / case.measurement.norm()) < 0.05


def test_maps_come_from_the_lines_under_the_mask_alone(volumes, tools, write_volume):
    """Control: other samples outside of the calibration lines leave the maps as they are."""
    import h5py

    before = make_case(config(volumes), 0)
    columns = np.flatnonzero(before.operator.mask[0].numpy())
    with h5py.File(volumes / "a.h5", "r+") as file:
        k = file["kspace"][...]
        # The columns of 32 that are kept lie at 40 / 32 of the frequencies of the file's: change what is far outside of the run about DC.
        k[..., :6] = k[..., ::-1][..., :6]
        file["kspace"][...] = k
    after = make_case(config(volumes), 0)
    assert {12, 16, 20} <= set(columns.tolist())
    agreement = (before.operator.sensitivities.conj() * after.operator.sensitivities).sum(0).abs()
    seen = (before.operator.sensitivities != 0).any(0) & (after.operator.sensitivities != 0).any(0)
    assert float(agreement[seen].min()) > 0.99


def test_given_maps_are_used(volumes):
    estimated = make_case(config(volumes), 0).operator.sensitivities
    for name in "ab":
        np.save(volumes / f"maps-{name}.npy", estimated.numpy())
    case = make_case(config(volumes, maps='kind = "given", file = "maps-{stem}.npy"'), 1)
    assert torch.equal(case.operator.sensitivities, estimated)
    assert any("coil maps from maps-b.npy" in note and "explains" in note for note in case.notes)


def test_maps_of_other_coils_are_refused(volumes):
    estimated = make_case(config(volumes), 0).operator.sensitivities
    rng = np.random.default_rng(0)
    wrong = estimated.numpy() * np.exp(2j * np.pi * rng.uniform(size=estimated.shape))
    np.save(volumes / "maps.npy", wrong.astype(np.complex64))
    with pytest.raises(DataError, match=r"explains at least 50 % of the energy.*give the maps of these coils in their order"):
        make_case(config(volumes, maps='kind = "given", file = "maps.npy"'), 0)


def test_too_few_calibration_lines_are_refused(volumes):
    with pytest.raises(DataError, match=r"at least 9 x 9 samples for ESPIRiT.*centre_fraction"):
        make_case(config(volumes, change=("centre_fraction = 0.4", "centre_fraction = 0.1")), 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("row = 1", ((0, 1), (1, 1))),
        ("slices = [1, 0]", ((0, 1), (0, 0), (1, 1), (1, 0))),
        ("every = 1", ((0, 0), (0, 1), (1, 0), (1, 1))),
        ("every = 2", ((0, 0), (1, 0))),
    ],
)
def test_slices(volumes, data, expected):
    assert file_slices(config(volumes, data=data)) == expected


def test_slices_of_one_patient_count_once_and_are_told_apart(volumes):
    chosen = config(volumes, data="every = 1")
    assert case_names(chosen) == ("a slice 0", "a slice 1", "b slice 0", "b slice 1")
    assert patients(chosen) == ("patient 1", "patient 1")
    case = make_case(chosen, 3)
    assert (case.name, case.patient) == ("b slice 1", "patient 1")
    assert "Doe" not in " ".join(case.notes)


def test_a_volume_without_identity_is_one_patient(tools, write_volume, tmp_path):
    for name in "ab":
        write_volume(tools.transform(tools.coil_images()), name=f"{name}.h5", header=tools.header())
    chosen = config(tmp_path, data="every = 1")
    assert [make_case(chosen, index).patient for index in (0, 1, 2)] == ["a", "a", "b"]


def test_what_a_case_depends_on_is_in_its_fingerprint(volumes):
    base = case_fingerprint(config(volumes), 0)
    others = [
        case_fingerprint(config(volumes, data="row = 1"), 0),
        case_fingerprint(config(volumes, data='row = 0\nfield_of_view = "read-out"'), 0),
        case_fingerprint(config(volumes, data='row = 0\ntruth = "file"'), 0),
        case_fingerprint(config(volumes, maps='kind = "low-resolution"'), 0),
        case_fingerprint(config(volumes), 1),
    ]
    assert all(other != base for other in others)
    assert case_fingerprint(config(volumes), 0) == base


def test_the_truth_can_be_the_image_in_the_file(volumes, tools):
    case = make_case(config(volumes, data='row = 1\ntruth = "file"'), 0)
    shown = np.sqrt((np.abs(tools.coil_images(seed=0)[1, :, 16:48, 4:36]) ** 2).sum(0))
    np.testing.assert_allclose(case.truth[0, 0].abs().numpy(), shown / shown.max(), atol=0.01)
    assert case.truth_source == "reference in the file"
    full = make_case(config(volumes, data="row = 1"), 0).truth[0, 0]
    body = torch.from_numpy(shown > 0.2 * shown.max())
    assert float((case.truth[0, 0] - full).abs()[body].max()) < 0.03


def test_a_file_without_an_image_cannot_be_the_truth(tools, write_volume, tmp_path):
    write_volume(tools.transform(tools.coil_images()), name="a.h5", header=tools.header())
    chosen = config(tmp_path, data='row = 0\ntruth = "file"', change=(', "b.h5"', ""))
    with pytest.raises(DataError, match=r"an image of 32 x 32 pixels in the file.*came no image"):
        make_case(chosen, 0)


@pytest.fixture
def undersampled(tools, write_volume, tmp_path):
    """A volume as in a test set: 4x without truth, 12 central columns."""
    mask = np.zeros(40, np.uint8)
    mask[14:26] = mask[::4] = 1
    write_volume(tools.transform(tools.coil_images()) * mask, name="a.h5", header=tools.header(), mask=mask)
    text = MULTICOIL.format(maps=ESPIRIT, data="row = 0").replace(', "b.h5"', "").replace("size = 32", "size = 32\nwidth = 40")
    return parse_config(
        text.replace("mask = { acceleration = 2.0, centre_fraction = 0.4 }", 'mask = { kind = "measured" }'), base_dir=tmp_path
    ), mask


def test_an_undersampled_scan_keeps_its_mask_and_has_no_truth(undersampled):
    chosen, mask = undersampled
    case = make_case(chosen, 0)
    assert case.operator.mask[0].tolist() == (mask == 1).tolist()
    assert case.truth is None
    assert case.truth_source == "none"
    assert case.resample is None
    assert sampling_levels(chosen) == ()


def test_an_undersampled_scan_says_its_limits(undersampled):
    chosen, _ = undersampled
    from stabtest.audit.cases import case_info

    said = " ".join(limitations(chosen, [case_info(make_case(chosen, 0))]))
    assert "undersampled by the scanner" in said
    assert "There is no truth for some measurements" in said
    assert "estimated from the calibration lines of the same scan" in said
    assert "reconstruction of all measured samples" not in said


def test_a_full_scan_without_a_mask_is_not_taken_for_one_with(tmp_path, tools):
    np.save(tmp_path / "a.npy", tools.transform(tools.coil_images(slices=1, shape=(32, 32)))[0])
    text = MULTICOIL.format(maps=ESPIRIT, data="").replace('"a.h5", "b.h5"', '"a.npy"')
    text = text.replace("mask = { acceleration = 2.0, centre_fraction = 0.4 }", 'mask = { kind = "measured" }')
    with pytest.raises(DataError, match="a file that says what was measured"):
        make_case(parse_config(text, base_dir=tmp_path), 0)


def test_numpy_files_of_several_coils(tmp_path, tools):
    np.save(tmp_path / "a.npy", tools.transform(tools.coil_images(slices=1, shape=(32, 32)))[0])
    case = make_case(
        parse_config(MULTICOIL.format(maps=ESPIRIT, data="").replace('"a.h5", "b.h5"', '"a.npy"'), base_dir=tmp_path), 0
    )
    assert case.measurement.shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('kind = "espirit", kernel = 5, crop = 0.8', 'kind = "simulated"'),
            r'maps.kind = "espirit", "low-resolution" or "given"',
        ),
        (('kind = "multicoil"', 'kind = "radon"'), '"fourier" or "multicoil" for k-space'),
        (
            ('kind = "kspace"\nfiles = ["a.h5", "b.h5"]\nrow = 0', 'kind = "phantom"'),
            'maps.kind = "simulated" for simulated k-space',
        ),
        (('kind = "espirit", kernel = 5, crop = 0.8', 'kind = "given"'), 'file, where kind = "given"'),
        (("row = 0", "row = 0\nevery = 2"), "one of row, slices and every"),
        (("row = 0", "slices = [1, 1]"), "slices that differ"),
    ],
)
def test_bad_combinations_are_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, change=change)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("[data]\nevery = 2", "no every where kind"),
        ('[operator]\nmask.kind = "measured"', 'kind = "kspace" for .operator. mask.kind'),
        ("[operator]\nwidth = 40", "other images are square"),
    ],
)
def test_keys_of_kspace_are_refused_elsewhere(extra, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(f'network.zoo = "tv"\n{extra}')
