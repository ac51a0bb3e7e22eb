"""Raw data in the ISMRM format, written record by record with h5py."""

import h5py
import numpy as np
import pytest

from stabtest.data import read_kspace
from stabtest.data.volumes import count_slices
from stabtest.errors import DataError

COUNTERS = [
    (key, "<u2")
    for key in [
        "kspace_encode_step_1",
        "kspace_encode_step_2",
        "average",
        "slice",
        "contrast",
        "phase",
        "repetition",
        "set",
        "segment",
    ]
]
HEAD = np.dtype(
    [
        ("version", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("scan_counter", "<u4"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", (3,)),
        ("number_of_samples", "<u2"),
        ("available_channels", "<u2"),
        ("active_channels", "<u2"),
        ("channel_mask", "<u8", (16,)),
        ("discard_pre", "<u2"),
        ("discard_post", "<u2"),
        ("center_sample", "<u2"),
        ("encoding_space_ref", "<u2"),
        ("trajectory_dimensions", "<u2"),
        ("sample_time_us", "<f4"),
        *((key, "<f4", (3,)) for key in ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position")),
        ("idx", [*COUNTERS, ("user", "<u2", (8,))]),
        ("user_int", "<i4", (8,)),
        ("user_float", "<f4", (8,)),
    ]
)
VLEN = h5py.special_dtype(vlen=np.dtype("float32"))
RECORD = np.dtype([("head", HEAD), ("traj", VLEN), ("data", VLEN)])
NOISE, CALIBRATION, REVERSED, NAVIGATOR = (1 << (number - 1) for number in (19, 20, 22, 23))


def record(samples, *, flags=0, dwell=10.0, centre=None, **counters):
    """A read-out ``(C, samples)``."""
    one = np.zeros(1, RECORD)
    one["head"]["flags"], one["head"]["sample_time_us"] = flags, dwell
    one["head"]["active_channels"], one["head"]["number_of_samples"] = samples.shape
    one["head"]["center_sample"] = samples.shape[1] // 2 if centre is None else centre
    for key, value in counters.items():
        place = one["head"] if key in HEAD.names else one["head"]["idx"]
        place[key] = value
    one["traj"][0] = np.zeros(0, np.float32)
    one["data"][0] = np.ascontiguousarray(samples, np.complex64).view(np.float32).ravel()
    return one[0]


def lines(k, *, shift=0, **counters):
    """The read-outs of k-space ``(slices, C, H, W)``."""
    return [
        record(k[s, :, :, w], kspace_encode_step_1=w - shift, slice=s, **counters)
        for s in range(len(k))
        for w in range(shift, k.shape[-1])
    ]


def write(path, records, header):
    with h5py.File(path, "w") as file:
        file.create_dataset("dataset/xml", data=np.array([header.encode()], dtype=object), dtype=h5py.special_dtype(vlen=bytes))
        stored = file.create_dataset("dataset/data", (len(records),), dtype=RECORD, maxshape=(None,))
        for position, one in enumerate(records):
            stored[position] = one
    return path


@pytest.fixture
def scan(tools):
    """K-space of 2 slices, 3 coils, 32 x 20 with read-out oversampling, and its header."""
    return tools.transform(tools.coil_images(shape=(32, 20))), tools.header(height=32, width=20, shown=(16, 20))


def read(path, **arguments):
    return read_kspace(path, **{"coils": True, "field": "encoded", "undersampled": True, "index": 0, **arguments})


def test_lines_are_sorted_into_kspace(tmp_path, scan):
    k, header = scan
    records = lines(k)
    np.random.default_rng(0).shuffle(records)
    path = write(tmp_path / "scan.h5", records, header)
    for index in (0, 1):
        data = read(path, index=index)
        np.testing.assert_allclose(data.kspace[0].numpy() * data.factor, k[index], atol=1e-5)
    assert count_slices(path, coils=True) == 2


def test_the_field_of_view_is_that_of_the_header(tmp_path, scan, tools):
    k, header = scan
    data = read(write(tmp_path / "scan.mrd", lines(k), header), field=None)
    own = tools.dft(16).conj().T @ data.kspace[0].numpy() @ tools.dft(20).conj()
    np.testing.assert_allclose(own * data.factor, tools.coil_images(shape=(32, 20))[0, :, 8:24], atol=1e-5)


def test_averages_are_averaged_and_reversed_lines_turned(tmp_path, scan):
    k, header = scan
    rng = np.random.default_rng(0)
    noise = 0.1 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
    # Sample j of a reversed read-out of 33 samples about 16 lies at -(j - 16).
    longer = np.concatenate([k - noise, (k - noise)[:, :, :1]], axis=2)[:, :, ::-1]
    backwards = [
        record(longer[s, :, :, w], flags=REVERSED, centre=16, kspace_encode_step_1=w, slice=s, average=1)
        for s in range(2)
        for w in range(20)
    ]
    data = read(write(tmp_path / "scan.h5", [*lines(k + noise), *backwards], header))
    found = data.kspace[0].numpy() * data.factor
    np.testing.assert_allclose(found[:, 1:], k[0][:, 1:], atol=1e-5)


def test_what_is_no_image_is_left_out(tmp_path, scan):
    k, header = scan
    junk = np.full((3, 32), 50.0)
    others = [record(junk, flags=flag, kspace_encode_step_1=10) for flag in (CALIBRATION, NAVIGATOR)]
    others.append(record(junk, kspace_encode_step_1=10, encoding_space_ref=1))
    others.append(record(junk, kspace_encode_step_1=10, repetition=1))
    data = read(write(tmp_path / "scan.h5", [*others, *lines(k)], header))
    np.testing.assert_allclose(data.kspace[0].numpy() * data.factor, k[0], atol=1e-5)
    assert any("of 2 values of repetition the first was taken" in note for note in data.notes)


def test_discarded_samples_and_asymmetric_echoes(tmp_path, scan):
    """Two samples of ramp before the echo, and a centre that is not in the middle of the record."""
    k, header = scan
    part = np.concatenate([np.full((2, 3, 2, 20), 9.0), k[:, :, 1:]], axis=2)
    records = [record(part[0, :, :, w], kspace_encode_step_1=w, centre=17, discard_pre=2) for w in range(20)]
    data = read(write(tmp_path / "scan.h5", records, header))
    found = data.kspace[0].numpy() * data.factor
    np.testing.assert_allclose(found[:, 1:], k[0, :, 1:], atol=1e-5)


def test_lines_that_were_not_taken_are_not_measured(tmp_path, scan):
    k, header = scan
    kept = [one for one in lines(k) if int(one["head"]["idx"]["kspace_encode_step_1"]) not in (2, 5, 17)]
    path = write(tmp_path / "scan.h5", kept, header)
    data = read(path)
    assert data.prospective
    assert np.flatnonzero(~data.measured[0].numpy()).tolist() == [2, 5, 17]
    with pytest.raises(DataError, match="left out 3 of 20 columns"):
        read(path, undersampled=False)


def test_partial_fourier_is_placed_by_the_centre_of_the_limits(tmp_path, scan, tools):
    k, _ = scan
    path = write(tmp_path / "scan.h5", lines(k, shift=6), tools.header(height=32, width=20, shown=(16, 20), first=6))
    data = read(path)
    np.testing.assert_allclose(data.kspace[0, ..., 6:].numpy() * data.factor, k[0, ..., 6:], atol=1e-5)
    assert not data.prospective
    assert data.measured[0].tolist() == [False] * 6 + [True] * 14


def test_a_noise_scan_whitens_the_coils(tmp_path, scan):
    """Noise of a known covariance, at half the dwell time in the noise scan: white afterwards, at the level that is said."""
    k, header = scan
    rng = np.random.default_rng(1)
    mix = np.array([[0.02, 0, 0], [0.01j, 0.03, 0], [0.01, 0.01, 0.05]])

    def noise(*shape):
        return np.einsum(
            "cd,d...->c...", mix, (rng.standard_normal((3, *shape)) + 1j * rng.standard_normal((3, *shape))) / np.sqrt(2)
        )

    scans = [record(noise(256), flags=NOISE, dwell=5.0) for _ in range(8)]
    # Twice the dwell time, half the bandwidth: noise of half the power.
    noisy = k[:1] + noise(32, 20)[None] / np.sqrt(2)
    data = read(write(tmp_path / "scan.h5", [*scans, *lines(noisy)], header))
    clean = read(write(tmp_path / "clean.h5", [*scans, *lines(k[:1])], header))
    left = (data.kspace[0].numpy() * data.factor - clean.kspace[0].numpy() * clean.factor).reshape(3, -1)
    covariance = left @ left.conj().T / left.shape[1]
    np.testing.assert_allclose(covariance, 0.5 * np.eye(3), atol=0.06)
    assert data.noise_std * data.factor == pytest.approx(np.sqrt(0.5), rel=1e-6)
    assert any("whitened with the covariance of 2048 samples" in note for note in data.notes)


def test_only_the_lines_of_a_slice_are_read(tmp_path, scan, monkeypatch):
    k, header = scan
    path = write(tmp_path / "scan.h5", lines(k), header)
    read_records = []
    own = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, where, **how: read_records.append(where) or own(self, where, **how)
    )
    read(path, index=1)
    assert sorted(where for where in read_records if isinstance(where, int)) == list(range(20, 40))


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"trajectory": "spiral"}, {}, "a Cartesian trajectory; came 'spiral'.*grid the data yourself"),
        ({}, {"index": 2}, "a slice from 0 to 1; came index = 2"),
        ({}, {"index": None}, "one slice; came 2 slices"),
        ({}, {"coils": False}, 'data of one coil; came 3 active channels.*kind = "multicoil"'),
    ],
)
def test_bad_scans_are_refused(tmp_path, tools, scan, change, arguments, message):
    header = tools.header(height=32, width=20, shown=(16, 20), **change)
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path / "scan.h5", lines(scan[0]), header), **arguments)
    assert "scan.h5" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda records: [record(np.ones((3, 32)), flags=NOISE)], "read-outs of an image; came 1 read-outs, none of them"),
        (
            lambda records: [*records, record(np.ones((3, 32)), kspace_encode_step_1=40)],
            "a phase encoding within the 20 of a 2-D scan",
        ),
        (
            lambda records: [*records, record(np.ones((2, 32)), kspace_encode_step_1=3)],
            "the same number in each read-out; came 2, 3",
        ),
        (lambda records: [record(np.ones((3, 32)), flags=NOISE), *records], "a singular covariance"),
        (lambda records: [record(np.ones((2, 32)), flags=NOISE), *records], "2 coils in the noise scan and 3 in the data"),
    ],
)
def test_records_that_contradict_each_other_are_refused(tmp_path, scan, spoil, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "scan.h5", spoil(lines(scan[0])), scan[1]))


def test_a_record_of_the_wrong_length_is_refused(tmp_path, scan):
    records = lines(scan[0])
    records[3]["head"]["number_of_samples"] = 31
    with pytest.raises(DataError, match=r"data\[3\]: expected 3 coils x 31 complex samples; came 192 numbers"):
        read(write(tmp_path / "scan.h5", records, scan[1]))


def test_the_package_writes_what_is_read(tmp_path, scan):
    """Against the format's own package, where it is installed."""
    ismrmrd = pytest.importorskip("ismrmrd")
    k, header = scan
    path = tmp_path / "scan.h5"
    dataset = ismrmrd.Dataset(str(path), "dataset")
    dataset.write_xml_header(header.encode())
    for s in range(2):
        for w in range(20):
            one = ismrmrd.Acquisition.from_array(np.ascontiguousarray(k[s, :, :, w], np.complex64))
            one.idx.kspace_encode_step_1, one.idx.slice, one.center_sample = w, s, 16
            dataset.append_acquisition(one)
    dataset.close()
    data = read(path, index=1)
    np.testing.assert_allclose(data.kspace[0].numpy() * data.factor, k[1], atol=1e-5)
