import hashlib

import pytest

from stabtest.audit import load_config, make_plan
from stabtest.audit.fingerprint import digest, file_sha256


def keys(path, **options):
    return {(unit.test, unit.method, unit.case): unit.key for unit in make_plan(load_config(path), **options).units}


def changed(project, tmp_path, old, new, name="tiny.toml"):
    """Keys that differ after a change of the configuration or the network."""
    for file in project.parent.glob("*.*"):
        text = file.read_text()
        (tmp_path / file.name).write_text(text.replace(old, new) if file.name == name else text)
    before, after = keys(project), keys(tmp_path / "tiny.toml")
    return {place for place in before if before[place] != after.get(place)}, set(before)


def test_the_same_question_has_the_same_key(project):
    assert keys(project) == keys(project)


def test_keys_are_distinct(project):
    found = list(keys(project).values())
    assert len(set(found)) == len(found)


def test_a_setting_of_a_test_changes_that_test_only(project, tmp_path):
    differ, _ = changed(project, tmp_path, "radii = [0.02, 0.05]", "radii = [0.02, 0.06]")
    assert {test for test, _, _ in differ} == {"worst_case", "lipschitz"}  # bounds on balls are of the radii of the search


def test_the_network_source_changes_its_own_units_only(project, tmp_path):
    differ, _ = changed(project, tmp_path, "0.98 * image", "0.97 * image", "net.py")
    assert {method for _, method, _ in differ} == {"small"}


def test_the_weights_change_the_network_units(project, tmp_path):
    differ, _ = changed(project, tmp_path, 'name = "small"', 'name = "small"\narguments = { gain = 0.02 }')
    assert {method for _, method, _ in differ} == {"small"}


@pytest.mark.parametrize(("old", "new"), [("noise = 0.1", "noise = 0.2"), ("seed = 1", "seed = 2"), ("size = 32", "size = 40")])
def test_the_data_change_everything(project, tmp_path, old, new):
    differ, every = changed(project, tmp_path, old, new)
    assert differ == every


def test_titles_and_criteria_change_nothing(project, tmp_path):
    differ, _ = changed(project, tmp_path, 'title = "Tiny"', 'title = "Another"')
    assert differ == set()


def test_the_seed_changes_everything(project):
    before, after = keys(project), keys(project, seed=1)
    assert all(before[place] != after[place] for place in before)


def test_more_cases_keep_the_keys_of_the_first(project, tmp_path):
    differ, _ = changed(project, tmp_path, "count = 2", "count = 3")
    assert differ == set()


def test_a_factory_with_random_weights_is_refused_when_it_runs(tmp_path, write_project):
    from stabtest.audit.units.laboratory import MakeLaboratory
    from stabtest.errors import AuditError

    network = "import torch\n\ndef make():\n    return torch.nn.Conv2d(2, 2, 3, padding=1)\n"
    plan = make_plan(load_config(write_project(tmp_path, network=network)))
    with pytest.raises(AuditError, match="seed the factory"):
        MakeLaboratory.of(plan)()


def test_digest_is_sha256_of_canonical_json():
    expected = hashlib.sha256(b'{"a":[1.5,null],"b":1}').hexdigest()
    assert digest({"b": 1, "a": [1.5, None]}) == expected


def test_file_hash_of_a_missing_file_is_a_data_error(tmp_path):
    from stabtest.errors import DataError

    with pytest.raises(DataError, match="readable"):
        file_sha256(tmp_path / "none")
