"""What is wrong or odd in a recipe, as findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any

from packaging.specifiers import SpecifierSet

from wheelbuilder.inputs.findings import Finding, error, in_order, warning
from wheelbuilder.inputs.images import Root
from wheelbuilder.inputs.near import near
from wheelbuilder.inputs.recipes import REPLACED, Bindep, Layer, Patch, RecipeFile
from wheelbuilder.inputs.rungs import Rung

LINK = re.compile(r"https?://[^\s/]+/\S")
FATE = re.compile(r"(?:not submitted|not needed upstream|accepted|rejected): \S.{5,}", re.DOTALL)
HUNK = re.compile(r"^--- (?P<old>\S+).*\n\+\+\+ (?P<new>\S+).*\n@@ -\d", re.MULTILINE)
# What every build has set, so that equal inputs give equal bytes, and what breaks interpreters.
OURS = (
    *("PATH", "HOME", "TZ", "LC_ALL", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "ZERO_AR_DATE", "MAKEFLAGS"),
    *("PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "LD_LIBRARY_PATH"),
)
# What compilers and build systems read: a name that is nearly one of these is likely a slip.
KNOWN = (
    *(
        "AR",
        "CC",
        "CXX",
        "FC",
        "LD",
        "NM",
        "RANLIB",
        "STRIP",
        "CFLAGS",
        "CXXFLAGS",
        "CPPFLAGS",
        "FFLAGS",
        "FCFLAGS",
    ),
    *("LDFLAGS", "LDSHARED", "LIBS", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"),
    *(
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "CMAKE_ARGS",
        "CMAKE_PREFIX_PATH",
        "CMAKE_GENERATOR",
    ),
    *(
        "CARGO_HOME",
        "CARGO_BUILD_TARGET",
        "RUSTFLAGS",
        "RUSTC",
        "NPY_NUM_BUILD_JOBS",
        "MAX_JOBS",
        "SKBUILD_CMAKE_ARGS",
    ),
    *("SETUPTOOLS_SCM_PRETEND_VERSION", "SETUPTOOLS_USE_DISTUTILS", "DISTUTILS_USE_SDK", "CIBUILDWHEEL"),
)
ENDS = ("<", "<=", "==", "===", "~=")  # the operators of ranges that end
PAIRS = (("deb", "rpm", "system-packages"), ("runtime_deb", "runtime_rpm", "runtime-packages"))
ARRAYS = (*("deb", "rpm", "runtime_deb", "runtime_rpm"), "build_requires", "build_constraints", "remove")


def lint(file: RecipeFile, today: date) -> tuple[Finding, ...]:
    """Return what is wrong or odd in a recipe that can be read, errors first."""
    checks = (_patches, _expired, _ranges, _rivals, _rungs, _environment, _one_sided, _repeated)
    return in_order(finding for check in checks for finding in check(file, today))


def lint_names(file: RecipeFile, known: Mapping[Root, frozenset[str]]) -> Iterator[Finding]:
    """Yield the Debian packages that a recipe wants in some roots and that none, or not each, can have.

    known: by archive root, the names of the packages of its suite.
    """
    wanted: dict[str, list[Root]] = {}
    for root in known:
        for name in dict.fromkeys(name for layer in file.layers for name in _deb(layer, root)):
            wanted.setdefault(name, []).append(root)
    for name, roots in wanted.items():
        lacking = [root for root in roots if name not in known[root]]
        if lacking:
            suites = ", ".join(sorted({root.suite for root in lacking}))
            message = f"{file.path}: {name!r} is no package of {suites}{_or_rather(name, lacking, known)}"
            make = error if lacking == roots else warning
            yield make("no-package", message, [file.project])


def _or_rather(name: str, roots: Sequence[Root], known: Mapping[Root, frozenset[str]]) -> str:
    found = near(name, known[roots[-1]], most=1, alike=0.8)
    return f"; did you mean '{found[0]}'?" if found else ""


def _deb(layer: Layer, root: Root) -> tuple[str, ...]:
    bindep = layer.bindep.settings(root).get("deb", ()) if layer.bindep else ()
    return (*layer.settings["deb"], *layer.settings["runtime_deb"], *bindep)


def _patches(file: RecipeFile, _: date) -> Iterator[Finding]:
    for patch in (patch for layer in file.layers for patch in layer.settings["patches"]):
        if not LINK.search(patch.status) and not FATE.match(patch.status):
            yield error(
                "status",
                f"{file.path}: the status {patch.status!r} of {patch.name} says nothing of its fate upstream."
                " Write a link, or 'not submitted: ' and the reason.",
                [file.project],
            )
        if complaint := _malformed(patch):
            yield error("patch", f"{file.path}: {patch.name} {complaint}.", [file.project])


def _malformed(patch: Patch) -> str:
    headers = list(HUNK.finditer(patch.text))
    if not headers:
        return "is no unified diff"
    for path in (path for header in headers for path in header.group("old", "new")):
        if path != "/dev/null" and ("/" not in path or ".." in path.split("/") or path.startswith("/")):
            return f"changes {path!r}, and one folder is stripped of its paths (-p1): write a/… and b/…"
    return ""


def _expired(file: RecipeFile, today: date) -> Iterator[Finding]:
    for layer in file.layers:
        failure = layer.settings.get("known_failure")
        if failure and failure.expires < today:
            message = f"{file.path}: the known failure has expired on {failure.expires}: {failure.reason}"
            yield warning("expired", f"{message}. Renew it, or remove it.", [file.project])


def _ranges(file: RecipeFile, _: date) -> Iterator[Finding]:
    for layer in file.layers[1:]:
        where = f"{file.path}: the range {str(layer.versions)!r}"
        if not layer.versions:
            yield warning("range", f"{where} holds for every version: move its keys up.", [file.project])
        elif _all(layer.versions).is_unsatisfiable():
            yield error("range", f"{where} holds for no version.", [file.project])
        if not (_says(layer.settings) or layer.bindep):
            yield warning("range", f"{where} changes nothing.", [file.project])


def _says(settings: Mapping[str, Any]) -> bool:
    """Whether settings change anything; what replaces does so although it is empty."""
    return any(
        _says(value) if isinstance(value, dict) else value != () or name in REPLACED
        for name, value in settings.items()
    )


def _rivals(file: RecipeFile, _: date) -> Iterator[Finding]:
    """Yield pairs of ranges where the order in the file decides what a version gets."""
    for first, second in combinations(file.layers[1:], 2):
        where = f"{file.path}: the ranges {str(first.versions)!r} and {str(second.versions)!r}"
        if first.versions == second.versions:
            yield warning("range", f"{where} are the same: write one.", [file.project])
        elif (both := _contested(first, second)) and _cross(first.versions, second.versions):
            message = f"{where} overlap, and both set {', '.join(both)}: the later one wins there."
            yield warning("overlap", message, [file.project])


def _contested(first: Layer, second: Layer) -> list[str]:
    """Return the keys of which the later range's value replaces the earlier's."""
    names: list[str] = []
    for name in first.settings.keys() & second.settings.keys():
        one, other = first.settings[name], second.settings[name]
        if isinstance(one, dict) and isinstance(other, dict):
            names += [f"{name}.{key}" for key in one.keys() & other.keys() if one[key] != other[key]]
        elif (name in REPLACED or not isinstance(one, tuple)) and one != other:
            names.append(name)
    return sorted(name.replace("_", "-") for name in names)


def _cross(first: SpecifierSet, second: SpecifierSet) -> bool:
    """Whether two ranges share versions and neither holds all of the other's."""
    one, other = _all(first), _all(second)
    try:
        return not (one.is_disjoint(other) or one.is_subset(other) or other.is_subset(one))
    except ValueError:  # === compares text, not versions
        return False


def _all(versions: SpecifierSet) -> SpecifierSet:
    return SpecifierSet(str(versions), prereleases=True)


def _rungs(file: RecipeFile, _: date) -> Iterator[Finding]:
    """Yield pins of a rung that no release to come will be tried without."""
    for layer in file.layers:
        rung = layer.settings.get("rung")
        if rung not in (None, Rung.NATIVE) and not any(it.operator in ENDS for it in layer.versions):
            message = f"{file.path}: the rung {rung} is pinned for every version to come"
            yield warning("rung", f"{message}: give it a range that ends, such as <=1.0.", [file.project])


def _environment(file: RecipeFile, _: date) -> Iterator[Finding]:
    for name in dict.fromkeys(name for layer in file.layers for name in layer.settings["environment"]):
        if name in OURS:
            message = f"{file.path}: environment.{name} replaces what every build has, and may break it."
            yield warning("environment", message, [file.project])
        elif meant := _slip(name):
            message = f"{file.path}: environment.{name} is no variable that build systems read"
            yield warning("environment", f"{message}; did you mean '{meant}'?", [file.project])


def _slip(name: str) -> str:
    found = near(name.upper(), KNOWN, most=1, alike=0.85)
    return found[0] if found and name not in KNOWN else ""


def _one_sided(file: RecipeFile, _: date) -> Iterator[Finding]:
    bindep = any(layer.bindep for layer in file.layers)
    for deb, rpm, table in PAIRS:
        given = [key for key in (deb, rpm) if any(layer.settings[key] for layer in file.layers)]
        if len(given) == 1 and not bindep:
            has, lacks = (key.removeprefix("runtime_") for key in (given[0], rpm if given[0] == deb else deb))
            message = f"{file.path}: {table} has {has} and no {lacks}: it serves one kind of image."
            yield warning("one-sided", message, [file.project])


def _repeated(file: RecipeFile, _: date) -> Iterator[Finding]:
    for layer in file.layers:
        for key in ARRAYS:
            for text, number in Counter(layer.settings[key]).items():
                if number > 1:
                    message = f"{file.path}: {key.replace('_', '-')} names {text!r} {number} times."
                    yield warning("repeated", message, [file.project])


def named_files(files: Sequence[RecipeFile]) -> frozenset[str]:
    """Return the names of the patches and bindep files that recipes use."""
    layers = [layer for file in files for layer in file.layers]
    used: list[Patch | Bindep] = [patch for layer in layers for patch in layer.settings["patches"]]
    used += [layer.bindep for layer in layers if layer.bindep]
    return frozenset(it.name for it in used)
