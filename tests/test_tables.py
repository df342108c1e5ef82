from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.tables import Table, read_toml


def table(**values: object) -> Table:
    return Table(values, "list.toml")


def test_typed_values() -> None:
    read = table(text="a", count=3, flag=False, names=["x", "y"], env={"A": "1"})
    assert read.get("text", str) == "a"
    assert read.get("count", int) == 3
    assert read.get("flag", bool) is False
    assert read.strings("names") == ("x", "y")
    assert read.mapping("env") == {"A": "1"}
    assert read.optional("absent", str) is None
    assert read.strings("absent", ("z",)) == ("z",)
    read.done()


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        (3, str, "'key' must be a string, not 3"),
        (True, int, "'key' must be a whole number, not True"),
        ("x", list, "'key' must be an array, not 'x'"),
    ],
)
def test_a_wrong_type_names_key_and_place(value: object, kind: type, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"list.toml: {complaint}"):
        table(key=value).get("key", kind)


def test_errors_grow_the_path() -> None:
    read = table(families={"bookworm": {"policy": 1}})
    ((_, family),) = read.tables("families")
    with pytest.raises(
        ConfigurationError, match=r"list\.toml: families\.bookworm: 'policy' must be a string"
    ):
        family.get("policy", str)
    with pytest.raises(ConfigurationError, match=r"'names\[1\]' must be a string"):
        table(names=["a", 2]).strings("names")
    with pytest.raises(ConfigurationError, match=r"'rows\[0\]' must be a table"):
        table(rows=[1]).array("rows")


def test_unknown_keys_are_refused_with_the_nearest() -> None:
    read = table(chanel="x")
    read.optional("channel", str)
    with pytest.raises(ConfigurationError, match="'chanel' is not known") as error:
        read.done()
    assert error.value.hint == "Did you mean 'channel'?"


def test_a_key_that_was_asked_about_is_known() -> None:
    read = table(z="x")
    assert "a" not in read
    with pytest.raises(ConfigurationError) as error:
        read.done()
    assert error.value.hint == "Known keys: a."


def test_a_missing_key() -> None:
    with pytest.raises(ConfigurationError, match="the key 'targets' is missing"):
        table().strings("targets")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("a = \n")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"a = '\xe9'\n")
    none = tmp_path / "none.toml"
    for path, words in ((none, "there is no such file"), (bad, "not valid TOML"), (latin, "is not UTF-8")):
        with pytest.raises(ConfigurationError, match=words) as error:
            read_toml(path)
        assert str(path) in error.value.message


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def test_a_word_of_a_few() -> None:
    assert table(key="red").choice("key", Colour) is Colour.RED
    assert table().choice("key", Colour, Colour.GREEN) is Colour.GREEN
    with pytest.raises(ConfigurationError, match=r"'key' = 'gren' must be one of red, green\.") as error:
        table(key="gren").choice("key", Colour)
    assert error.value.hint == "Did you mean 'green'?"
    with pytest.raises(ConfigurationError, match="must be a date such as 2027-01-31, without quotes"):
        table(key="2027-01-31").get("key", date)
