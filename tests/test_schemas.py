"""The schemas and the parsers say the same of a file."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sdists import ROOT, TARGET, cli
from test_recipes import FULL

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.lists import read_list
from wheelbuilder.inputs.recipe_files import read_recipe
from wheelbuilder.inputs.schemas import NAMES, schema

CATALOGUE = Catalogue.read(default_path())
RECIPE, LIST = (Draft202012Validator(schema(name)) for name in NAMES)
BINDEP = 'bindep = { file = "b.txt", profiles = ["x"] }\n'
FULL_RECIPE = f"{BINDEP}{FULL}{BINDEP}"
FULL_LIST = f"""
name = "x"
channel = "x-1"
mode = "closure"
targets = ["{TARGET}"]
pins = ["six"]
unpinned = ["certifi"]
build-constraints = ["setuptools<81"]
build-constraints-file = "bounds.txt"
recipes = "recipes"
upstream = "https://index.example.org/simple/"
limits = {{ timeout = "30m", memory = "8G", jobs = 2 }}
[branches.main]
path = "pins.txt"
allow-empty = true
requirements = ["needs.txt", {{ path = "more.txt" }}]
"""
# What a grammar of JSON values cannot say, in the words of the parser's complaint.
BEYOND = re.compile(
    r"cannot be read|is no line of|names no constraints|is not a requirement|must be between|must be at most"
    r"|which no branch pins|serves the target|is no folder|would be the copy|is '\w+', and the branch"
    r"|is not an address"
)
VALUES: tuple[Any, ...] = ("", "x", "1.0", ">=1", "5m", "4G", "optional", 1, 0, 2000, True, [], ["x"], ["", 1], {}, {"x": "y"}, {"x": 1}, [{}])  # fmt: skip  # noqa: E501


def toml(values: dict[str, Any]) -> str:
    """TOML of JSON values, all tables in line."""
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in values.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def as_json(value: Any) -> Any:
    """What an editor's TOML reader hands to a validator: dates are strings."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    texts = {"pins.txt": "six===1.0\n", "needs.txt": "six\n", "more.txt": "six\n", "bounds.txt": "pip<99\n"}
    for name in ("fix.patch", "b.txt", "x", "optional", "1.0", ">=1", "5m", "4G", *texts):
        (tmp_path / name).write_text(texts.get(name, ""))
    return tmp_path


def complaint(kind: str, place: Path, values: dict[str, Any]) -> str:
    """What the parser says of a file; "" if it takes it."""
    path = place / "thing.toml"
    path.write_text(toml(values))
    try:
        if kind == "recipe":
            read_recipe(path)
        else:
            read_list(path, CATALOGUE)
    except ConfigurationError as error:
        return f"{error.message} {error.hint}"
    return ""


def full(kind: str) -> dict[str, Any]:
    return tomllib.loads(FULL_RECIPE if kind == "recipe" else FULL_LIST)


def steps(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested values."""
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from steps(value, (*path, key))


def changed(values: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(values)
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_is_printed(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert cli("schema", name).document == schema(name)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements-lists").rglob("*.toml")), ids=lambda path: path.stem
)
def test_all_that_is_shipped_fits(path: Path) -> None:
    validator = RECIPE if path.parent.name == "recipes" else LIST
    validator.validate(as_json(tomllib.loads(path.read_text())))


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_with_every_key_fits_and_says_every_key_that_the_schema_has(kind: str, place: Path) -> None:
    values = full(kind)
    assert complaint(kind, place, values) == ""
    (RECIPE if kind == "recipe" else LIST).validate(as_json(values))
    assert set(values) == set(schema(kind)["properties"])


Node = dict[str, Any]
Placed = tuple[tuple[Any, ...], Any, Node]  # a place, what is there, and its schema


def tables(kind: str) -> list[tuple[tuple[Any, ...], Node]]:
    """Each table of the full file whose keys the schema lists, with its schema."""
    root = schema(kind)
    found: list[tuple[tuple[Any, ...], Node]] = []
    queue: list[Placed] = [((), full(kind), root)]
    while queue:
        path, values, node = queue.pop()
        while "$ref" in node:
            node = root["$defs"][node["$ref"].rpartition("/")[2]]
        if isinstance(values, dict) and "properties" in node:
            found.append((path, node))
        queue += [(path, values, each) for each in node.get("anyOf", ())]
        queue += below(path, values, node)
    return found


def below(path: tuple[Any, ...], values: Any, node: Node) -> Iterator[Placed]:
    if isinstance(values, list) and "items" in node:
        yield from (((*path, number), value, node["items"]) for number, value in enumerate(values))
    if isinstance(values, dict):
        for key, value in values.items():
            each = node.get("properties", {}).get(key, node.get("additionalProperties"))
            if isinstance(each, dict):
                yield (*path, key), value, each


@pytest.mark.parametrize("kind", NAMES)
def test_both_know_the_same_keys_in_every_table(kind: str, place: Path) -> None:
    found = tables(kind)
    assert len(found) >= 4
    for path, node in found:
        told = complaint(kind, place, changed(full(kind), (*path, "zzzzzz"), 1))
        known = re.search(r"'zzzzzz' is not known\. Known keys: (.*)\.", told)
        assert known, (path, told)
        assert set(known[1].split(", ")) == set(node["properties"]), path


@pytest.mark.parametrize("kind", NAMES)
def test_both_judge_alike_when_any_value_is_changed(kind: str, place: Path) -> None:
    validator, refused = RECIPE if kind == "recipe" else LIST, 0
    for path in steps(full(kind)):
        for value in VALUES:
            values = changed(full(kind), path, value)
            told, fits = complaint(kind, place, values), validator.is_valid(as_json(values))
            refused += not fits
            assert fits or told, f"the parser takes {path} = {value!r}, which the schema refuses"
            assert not fits or not told or BEYOND.search(told), f"{path} = {value!r} fits; the parser: {told}"
    assert refused > 200
