"""The JSON Schema of the configuration says what the loader says."""

import tomllib
from pathlib import Path

import jsonschema
import pytest

from stabtest.audit import config_schema, init_template

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("experiments/**/*.toml"), *ROOT.glob("stabtest/audit/demo/*.toml")])


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(config_schema())
    return jsonschema.Draft202012Validator(config_schema())


def test_the_template_is_valid(validator):
    assert list(validator.iter_errors(tomllib.loads(init_template()))) == []


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_shipped_configurations_are_valid(validator, path):
    assert list(validator.iter_errors(tomllib.loads(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "text",
    ['[network]\nzooo = "tv"', "[operator]\nsize = 1", '[operator]\nkind = "other"', "[data]\nnoise = -1.0", "wrong = 1"],
)
def test_what_the_loader_refuses_the_schema_refuses(validator, text):
    assert list(validator.iter_errors(tomllib.loads(text))) != []


def test_every_key_says_what_it_means():
    for name, table in config_schema()["$defs"].items():
        for key, field in table.get("properties", {}).items():
            if name.endswith("Section") and "$ref" not in field:
                assert field.get("description"), f"{name}.{key}"
