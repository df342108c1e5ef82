"""Requirement strings of builds (PEP 508): what one asks for by name, and what bounds its environment."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.pins import can_be_evaluated
from wheelbuilder.inputs.tables import Table


def requirements(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of requirements; ConfigurationError for one that no build can be given."""
    return _checked(table, key, bounding=False)


def constraints(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of constraints; ConfigurationError for one that bounds no build."""
    return _checked(table, key, bounding=True)


def constraints_of(text: str, place: str) -> tuple[str, ...]:
    """Read a file of constraints, one a line; ConfigurationError naming file and line. place: its name."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if words and (complaint := _complaint(words, bounding=True)):
            raise ConfigurationError(f"{place}:{number}: {words!r} {complaint}.", "Correct the line.")
        found += [words] if words else []
    return tuple(found)


def _checked(table: Table, key: str, *, bounding: bool) -> tuple[str, ...]:
    texts = table.strings(key, ())
    for index, text in enumerate(texts):
        if complaint := _complaint(text, bounding=bounding):
            raise table.error(f"{key}[{index}]", f"= {text!r} {complaint}")
    return texts


def _complaint(text: str, *, bounding: bool) -> str:
    """Return what is wrong with a requirement, as the end of a sentence; "" if nothing is."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        return f"is not a requirement (PEP 508): {str(error).splitlines()[0]}"
    if requirement.url:
        return "names a URL, and no index vouches for what that gives"
    if requirement.marker and not can_be_evaluated(requirement.marker):
        return "has a marker that compares what cannot be compared"
    if bounding and requirement.extras:
        return "has extras, which a constraint cannot have"
    return ""
