import pickle
import re
from pathlib import Path

import pytest

from stabtest.audit.config import Config
from stabtest.audit.config.file import load_config, parse_config
from stabtest.errors import ConfigError

MINIMAL = '[network]\nzoo = "unet-mri"\n'


def test_defaults_make_a_whole_configuration():
    config = parse_config(MINIMAL)
    assert config.modality == "mri"
    assert config.worst_case.radii
    assert config.criterion == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[netwrk]\nzoo = "a"', ["[netwrk]", "network"]),
        ('[network]\nzo = "a"', ["[network] zo", '"zoo"']),
        (MINIMAL + "[worst_case]\nradiuses = [0.1]", ["[worst_case] radiuses", '"radii"']),
        (MINIMAL + "[operator]\nmask = { acelleration = 4 }", ["[operator] mask.acelleration", '"acceleration"']),
        (
            MINIMAL + '[[criterion]]\nid = "C1"\nstatistics = "a"\nrule = "at most"\nlimit = 1',
            ["[[criterion]] number 1", '"statistic"'],
        ),
        (MINIMAL + '[operator]\nsize = "128"', ["[operator] size", "integer", '"128" (text)']),
        (MINIMAL + "[operator]\nsize = true", ["[operator] size", "integer", "true or false"]),
        (MINIMAL + "[operator]\nsize = 4", ["[operator] size", "8", "4"]),
        (MINIMAL + "[worst_case]\nradii = [0.1, -1]", ["[worst_case] radii, entry 2", "greater than 0", "-1"]),
        (MINIMAL + "[worst_case]\nradii = [inf]", ["[worst_case] radii"]),
        (MINIMAL + "[worst_case]\nradii = []", ["[worst_case] radii", "at least 1"]),
        (MINIMAL + '[worst_case]\ndomain = "k-space"', ["[worst_case] domain", "'measurement' or 'image'", "k-space"]),
        (MINIMAL + '[data]\nkind = "kspace"', ["[data]", "files"]),
        (MINIMAL + '[data]\nkind = "sinogram"\nfiles = ["a.h5"]', ["radon"]),
        (MINIMAL + '[reference]\nmethod = "fbp"', ["radon"]),
        ('[network]\nzoo = "a"\nfactory = "b:c"', ["[network]", "exactly one"]),
        ("[network]\n", ["[network]", "exactly one"]),
        ('[network]\nzoo = "a"\ntakes = "fastmri"', ["zoo alone", "takes"]),
        (MINIMAL + "[image_quality]\ncontrasts = [0.1, 0.1]", ["[image_quality]", "different numbers other than zero"]),
        (MINIMAL + "[image_quality]\nnoise_realisations = 4", ["[image_quality]", "at least edge_realisations"]),
        (MINIMAL + "[detectability]\ncontrasts = [0.1, -0.1]", ["[detectability]", "all of them bright"]),
        (MINIMAL + "[detectability]\nrealisations = 5", ["[detectability] realisations", "20"]),
        (MINIMAL + "[detectability]\ntraining = 5", ["[detectability]", "at least 25 images"]),
        (MINIMAL + '[detectability]\nobservers = ["radiologist"]', ["[detectability] observers", "radiologist"]),
        (MINIMAL + "[kernel]\nsfrc = { threshold = 0.5 }", ["[kernel] sfrc", "least_cutoff"]),
        (MINIMAL + '[kernel]\nfamilies = ["lesion"]', ["[kernel] families", "lesion"]),
        (MINIMAL + '[kernel]\nbases = ["truth", "truth"]', ["[kernel]", "different ones"]),
        (MINIMAL + '[structure]\nshapes = ["star"]', ["[structure] shapes", "star"]),
        (MINIMAL + '[structure]\nshapes = ["disc", "disc"]', ["[structure]", "different ones"]),
        (MINIMAL + '[structure]\ntext = "§"', ["[structure]", "§"]),
        (MINIMAL + "[structure]\nsizes = { star = [1.0] }", ["[structure] sizes", "star"]),
        (MINIMAL + '[sampling]\npatterns = ["limited_angle"]', ["[sampling] patterns", "limited_angle"]),
        (MINIMAL + '[sampling]\npatterns = ["spiral"]', ["[sampling] patterns", "spiral"]),
        (MINIMAL + "[missed_lesion]\ndiameters = [1.0, 4.0]", ["[missed_lesion]", "diameters", "from 2 pixels"]),
        (MINIMAL + "[missed_lesion]\ncontrasts = [0.2, 0.1]", ["[missed_lesion]", "the smaller first"]),
        (MINIMAL + "[missed_lesion]\nrows = [9, 3]", ["[missed_lesion]", "rows"]),
        (MINIMAL + "[shift]\npoints = 2", ["[shift]", "an odd number"]),
        (MINIMAL + "[shift]\nobjects = { spin = [1.0] }", ["[shift] objects", "spin"]),
        (MINIMAL + "[shift]\nobjects = { inversion = [2.0] }", ["[shift]", "inversion", "between 0 and 1"]),
        (MINIMAL + "[shift]\nbox = { intensity = 1.0 }", ["[shift]", "intensity", "below 1"]),
        (MINIMAL + "[shift]\nenabled = true\nobjects = {}\nscans = {}\nbox = {}", ["[shift]", "not all of them empty"]),
        ("", ["[network]", "nothing", "stabtest init"]),
        ("[network\n", ["TOML"]),
        (MINIMAL + "[operator]\nmask = { file = 'm.npy', seed = 1 }", ["mask", "file alone"]),
    ],
)
def test_a_mistake_names_the_key_what_was_expected_and_what_came(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, name="audit.toml")
    message = str(caught.value)
    assert message.startswith("audit.toml")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("statistic", "rule", "fits"),
    [
        ("worst_case.relative_change.max", "at most", True),
        ("worst_case.relative_change.max", "at least", False),
        ("structure.recovery.min", "at least", True),
        ("structure.recovery.min", "at most", False),
        ("lipschitz.measurement_to_image", "at most", True),
        ("worst_case.relative_change.median", "at most", False),
        ("worst_case.amplification_over_noise", "at most", False),
        ("quality.psnr.median", "at least", False),
        ("sampling.more_is_poorer", "at most", False),
    ],
)
def test_only_what_one_counterexample_can_refute_may_be_universal(statistic, rule, fits):
    text = f'{MINIMAL}[[criterion]]\nid = "C1"\nstatistic = "{statistic}"\nrule = "{rule}"\nlimit = 1.0\nuniversal = true\n'
    if fits:
        assert parse_config(text).criterion[0].universal
    else:
        with pytest.raises(ConfigError, match="one counterexample can refute"):
            parse_config(text)
    assert not parse_config(text.replace("universal = true", "universal = false")).criterion[0].universal


def test_criterion_limits_are_finite_and_ids_unique():
    criterion = '[[criterion]]\nid = "C1"\nstatistic = "quality.psnr.median"\nrule = "at least"\nlimit = {}\n'
    with pytest.raises(ConfigError, match="finite"):
        parse_config(MINIMAL + criterion.format("inf"))
    with pytest.raises(ConfigError, match="twice"):
        parse_config(MINIMAL + criterion.format("1.0") + criterion.format("2.0"))


def test_relative_paths_start_at_the_file(tmp_path):
    path = tmp_path / "folder" / "audit.toml"
    path.parent.mkdir()
    path.write_text(MINIMAL)
    config = load_config(path)
    assert config.path("weights.pt") == path.parent.resolve() / "weights.pt"
    assert config.path("/elsewhere/weights.pt") == Path("/elsewhere/weights.pt")


def test_a_configuration_survives_a_trip_to_another_process(tmp_path):
    config = parse_config(MINIMAL, base_dir=tmp_path)
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert again.base_dir == tmp_path


def test_the_folder_is_not_part_of_the_configuration(tmp_path):
    assert "base_dir" not in parse_config(MINIMAL, base_dir=tmp_path).model_dump()


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="stabtest init"):
        load_config(tmp_path / "none.toml")


def test_every_key_is_described():
    for name, field in Config.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            for key, inner in field.annotation.model_fields.items():
                assert inner.description or hasattr(inner.annotation, "model_fields"), f"[{name}] {key}"


WORST = MINIMAL + "[worst_case]\n"
CT = '[network]\nzoo = "fbp"\n[operator]\nkind = "radon"\nangles = 10\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WORST + "steps = 20", ["[worst_case] steps", "evaluations"]),
        (WORST + "jacobian_steps = 4", ["[worst_case] jacobian_steps", "evaluations"]),
        (WORST + "evaluation = 20", ["[worst_case] evaluation", '"evaluations"']),
        (WORST + "evaluations = 0", ["[worst_case] evaluations", "1"]),
        (WORST + "restarts = 0", ["[worst_case] restarts", "1"]),
        (WORST + 'norm = "l1"', ["[worst_case] norm", "'l2' or 'linf'"]),
        (WORST + 'region = { kind = "band", abov = 0.2 }', ["[worst_case] region.abov", '"above"']),
        (WORST + 'region = { kind = "band", above = 0.2 }', ["[worst_case] region", "above and below", "kind, above"]),
        (WORST + 'region = { kind = "band", above = 0.2, below = 0.3, coil = 1 }', ["[worst_case] region", "nothing else"]),
        (WORST + "region = { above = 0.2 }", ["[worst_case] region.kind", "nothing"]),
        (WORST + 'domain = "image"\nregion = { kind = "low_frequencies", below = 0.2 }', ["[worst_case]", "measurement"]),
        (WORST + 'region = { kind = "disc", centre = [3, 3], radius_px = 2 }', ["[worst_case]", 'domain = "image"']),
        (WORST + 'region = { kind = "views", views = [0] }', ["radon", "views"]),
        (CT + '[worst_case]\nregion = { kind = "views", views = [2, 10] }', ["more than 10 angles"]),
        (CT + '[worst_case]\nregion = { kind = "high_frequencies", above = 0.1 }', ["fourier"]),
        (WORST + 'region = { kind = "one_coil", coil = 0 }', ["multicoil"]),
        (WORST + "nonnegative = true", ["radon", "nonnegative"]),
        (CT + '[worst_case]\nnonnegative = true\ndomain = "image"', ["domain", "nonnegative"]),
        (WORST + 'unit = "noise"', ["[data] noise above 0"]),
        (WORST + 'unit = "noise"\ndomain = "image"\n[data]\nnoise = 0.1', ["[worst_case]", "relative"]),
    ],
)
def test_a_set_that_cannot_be_is_told_before_anything_runs(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, name="audit.toml")
    message = str(caught.value)
    assert message.startswith("audit.toml")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text",
    [
        WORST + 'region = { kind = "high_frequencies", above = 0.5 }\nnorm = "linf"\nstop_early = true',
        WORST + 'domain = "image"\nregion = { kind = "box", rows = [0, 4], columns = [2, 8] }\nobjective = "local"',
        CT + '[worst_case]\nnonnegative = true\nregion = { kind = "views", views = [0, 9] }\nobjective = "ssim"',
        WORST + 'unit = "noise"\nradii = [1, 2]\n[data]\nnoise = 0.1',
    ],
)
def test_sets_that_can_be_are_taken(text):
    assert parse_config(text).worst_case.enabled


def test_the_jacobian_steps_of_the_bracket_are_another_thing():
    assert parse_config(MINIMAL + "[lipschitz]\njacobian_steps = 3").lipschitz.jacobian_steps == 3


@pytest.mark.parametrize(
    ("tables", "remedy"),
    [
        ('[operator]\nkind = "radon"\nsize = 32\nangles = 20\nfactory = "a.py:b"', "change or leave out one of kind, factory"),
        ('[operator]\nkind = "own"\nfactory = "a.py:b"\nmatrix = "a.npz"', "change or leave out one of kind, factory, matrix"),
    ],
)
def test_a_broken_rule_between_keys_names_those_that_it_is_about(tables, remedy):
    with pytest.raises(ConfigError, match=re.escape(remedy) + r"\.$"):
        parse_config(tables + "\n")
