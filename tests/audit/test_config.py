import pickle
from pathlib import Path

import pytest

from stabtest.audit.config import Config
from stabtest.audit.config_file import load_config, parse_config
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
