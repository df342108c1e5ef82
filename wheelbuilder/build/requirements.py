"""Resolves requirements for a foreign target on the host, to wheels with digests; runs no foreign code.

uv resolves where it knows the platform, pip elsewhere. Neither sees the host's configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.images import Architecture
from wheelbuilder.inputs.targets import Target, platform_tags
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename

TIME_LIMIT = 300.0  # seconds for one resolution
PIP = "wheelbuilder.build.pip_process"  # pip evaluates markers for the host, this one for the target
UV_NO_SOLUTION = 1  # its exit status; 2 stands for everything else that went wrong
PASSING = re.compile(
    r"client error \(Connect\)|timed out|status server error|connection (?:closed|reset)", re.I
)
NEWEST_GLIBC_OF_UV = (2, 40)  # the newest manylinux name uv 0.9 to 0.13 takes in --python-platform


class NoWheelError(Exception):
    """The requirements have no solution made of wheels. reason: the resolver's own words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Resolves for one target. Equal questions are answered once: most builds ask for the same few wheels.

    constraints: requirement strings that every solution obeys. wheelhouse: the folder of build
    requirements that were built here; those of its folders that were added count beside the index.
    """

    target: Target
    arch: Architecture
    index_url: str
    constraints: tuple[str, ...]
    wheelhouse: Path
    scratch: Path
    _added: set[Path] = field(default_factory=set)
    _known: dict[tuple[object, ...], tuple[IndexFile, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, folder: Path) -> None:
        """Let the wheels of one folder of the wheelhouse count from now on."""
        with self._lock:
            self._added.add(folder)

    def resolve(
        self, requirements: Iterable[str], *, constraints: Iterable[str] = (), dependencies: bool = True
    ) -> tuple[IndexFile, ...]:
        """Return the wheels that satisfy the requirements, with their URLs and digests.

        constraints: beside the resolver's own. dependencies: also those of the wheels themselves.
        Raises NoWheelError when wheels alone cannot, and StepFailedError for a requirement that is not one.
        """
        wanted = tuple(sorted({str(_parsed(text)) for text in requirements}))
        if not wanted:
            return ()
        bounds = (*self.constraints, *constraints)
        with self._lock:
            question = (wanted, bounds, dependencies, tuple(sorted(self._added)))
            if question not in self._known:
                self._known[question] = self._ask(wanted, bounds, () if dependencies else ("--no-deps",))
            return self._known[question]

    def _ask(
        self, wanted: tuple[str, ...], bounds: tuple[str, ...], options: tuple[str, ...]
    ) -> tuple[IndexFile, ...]:
        self.scratch.mkdir(parents=True, exist_ok=True)
        constraints = self.scratch / f"constraints-{self.target}-{threading.get_ident()}.txt"
        constraints.write_text("".join(f"{line}\n" for line in bounds))
        if self.arch.uv and self.target.libc == "manylinux":
            return self._ask_uv(
                (*options, "--python-platform", self._uv_platform(self.arch.uv)), wanted, constraints
            )
        return self._ask_pip(options, wanted, constraints)

    def _ask_uv(
        self, options: tuple[str, ...], wanted: tuple[str, ...], constraints: Path
    ) -> tuple[IndexFile, ...]:
        argv = (
            *(uv(), "pip", "compile", "-"),
            *("--no-config", "--quiet", "--no-header", "--format", "pylock.toml"),
            *("--only-binary", ":all:", "--no-python-downloads", "--python", sys.executable),
            *("--python-version", self.target.full_version, *options),
            *("--index-url", self.index_url, *self._find_links()),
            *("--constraints", str(constraints)),
        )
        done = process.run(argv, stdin="\n".join(wanted).encode(), network=True, timeout=TIME_LIMIT)
        if done.exit_code == UV_NO_SOLUTION:
            raise NoWheelError(sentence(done.stderr))
        if not done.ok:
            raise StepFailedError(FailureClass.REQUIREMENTS, f"uv cannot resolve: {sentence(done.stderr)}")
        packages = tomllib.loads(done.stdout).get("packages", [])
        return tuple(self._chosen(package) for package in packages)

    def _find_links(self) -> Iterator[str]:
        for folder in sorted(self._added):
            yield from ("--find-links", str(folder))

    def _uv_platform(self, template: str) -> str:
        major, minor = min(self.target.libc_version, NEWEST_GLIBC_OF_UV)
        return template.format(major=major, minor=minor)

    def _chosen(self, package: dict[str, object]) -> IndexFile:
        wheels = [_from_pylock(row) for row in _rows(package)]
        fitting = [wheel for wheel in wheels if accepts(self.target, wheel)]
        if not fitting:
            raise NoWheelError(f"no wheel of {package['name']} {package.get('version')} fits {self.target}")
        return max(fitting, key=lambda wheel: ("-none-any" not in wheel.filename, wheel.filename))

    def _ask_pip(
        self, options: tuple[str, ...], wanted: tuple[str, ...], constraints: Path
    ) -> tuple[IndexFile, ...]:
        argv = (
            *(sys.executable, "-m", PIP, "--isolated", "--disable-pip-version-check", "install"),
            *("--dry-run", "--ignore-installed", "--quiet", "--report", "-", "--only-binary", ":all:"),
            *("--target", str(self.scratch / "nothing"), *pip_options(self.target), *options),
            *("--index-url", self.index_url, *self._find_links()),
            *("--constraint", str(constraints), *wanted),
        )
        return tuple(map(_from_report, self._report(argv)["install"]))

    def _report(self, argv: tuple[str, ...]) -> dict[str, Any]:
        """Let pip answer as the target; return its installation report."""
        markers = self.target.marker_environment()
        done = process.run(
            argv,
            stdin=json.dumps(markers).encode(),
            env={"PIP_CONFIG_FILE": "/dev/null"},
            network=True,
            timeout=TIME_LIMIT,
        )
        if not done.ok:
            raise NoWheelError(sentence(done.stderr))
        report: dict[str, Any] = json.loads(done.stdout)
        if report["environment"] != markers:
            raise StepFailedError(
                FailureClass.REQUIREMENTS,
                f"pip {report['pip_version']} resolves for this machine and not for {self.target}.",
                "Install an older pip beside wheelbuilder.",
            )
        return report


def uv() -> str:
    """Return the path of the uv that belongs to this installation."""
    return str(Path(sys.executable).parent / "uv")


def pip_options(target: Target) -> tuple[str, ...]:
    """Return what makes pip take the wheels that a target takes."""
    platforms = platform_tags(target.libc, target.libc_version, target.arch)
    return (
        *("--python-version", target.full_version, "--implementation", "cp"),
        *("--abi", target.interpreter, "--abi", "abi3", "--abi", "none"),
        *(word for platform in platforms for word in ("--platform", platform)),
    )


def applicable(requirements: Iterable[str], target: Target) -> tuple[str, ...]:
    """Return the requirements whose markers hold on the target, without the markers."""
    kept = []
    environment = target.marker_environment() | {"extra": ""}
    for text in requirements:
        requirement = _parsed(text)
        try:
            holds = requirement.marker is None or requirement.marker.evaluate(environment)
        except (UndefinedComparison, UndefinedEnvironmentName) as error:
            raise StepFailedError(
                FailureClass.REQUIREMENTS, f"the marker of {text!r} cannot be evaluated: {error}"
            ) from None
        if holds:
            requirement.marker = None
            kept.append(str(requirement))
    return tuple(sorted(kept))


def satisfied(requirements: Iterable[str], wheels: Iterable[IndexFile]) -> bool:
    """Say whether an environment of these wheels has what is required; extras never count as there."""
    names = [parse_filename(wheel.filename) for wheel in wheels]
    versions = {name.project: name.version for name in names if name}
    return all(
        not requirement.extras
        and (version := versions.get(canonicalize_name(requirement.name))) is not None
        and requirement.specifier.contains(version, prereleases=True)
        for requirement in map(_parsed, requirements)
    )


def local_path(file: IndexFile, wheelhouse: Path) -> Path | None:
    """Return the path of a `file:` URL, None for any other.

    Raises StepFailedError REQUIREMENTS unless it is a wheel of the wheelhouse with the digest that the
    resolver saw: a page of the index may name any path of this machine.
    """
    parts = urlsplit(file.url)
    if parts.scheme != "file":
        return None
    path = Path(url2pathname(parts.path)).resolve()
    if parts.netloc or not path.is_relative_to(wheelhouse.resolve()) or not path.is_file():
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"The index names {file.filename} by {file.url}, a path of this machine.",
        )
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != file.sha256:
        raise StepFailedError(
            FailureClass.REQUIREMENTS, f"{file.filename}, built here, has not the digest {file.sha256!r}."
        )
    return path


def _parsed(text: str) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise StepFailedError(
            FailureClass.REQUIREMENTS, f"The build asks for {text!r}, which is no requirement: {error}"
        ) from None
    if requirement.url:
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"The build asks for {text!r}: a direct URL has no digest that an index vouches for.",
            "Give the requirement by name in a patch of the recipe.",
        )
    return requirement


def _rows(package: dict[str, object]) -> list[dict[str, object]]:
    rows = package.get("wheels", [])
    assert isinstance(rows, list)  # PEP 751
    return rows


def _from_pylock(row: dict[str, object]) -> IndexFile:
    url = str(row.get("url") or Path(str(row["path"])).absolute().as_uri())
    hashes = row.get("hashes")
    assert isinstance(hashes, dict)  # PEP 751: required
    return IndexFile(filename=_last(url), url=url, sha256=str(hashes.get("sha256", "")))


def _from_report(row: dict[str, dict[str, object]]) -> IndexFile:
    info = row["download_info"]
    url = str(info["url"])
    archive = info["archive_info"]
    assert isinstance(archive, dict)  # PEP 610, for an archive
    return IndexFile(filename=_last(url), url=url, sha256=str(archive["hashes"]["sha256"]))


def _last(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def sentence(stderr: str) -> str:
    """Return what a resolver complains of, in its own words and on one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [
        line for line in lines if not line.startswith(("warning:", "hint:", "error: No solution", "WARNING"))
    ]
    # uv tells from the outside in: the last cause is the one that helps.
    causes = [line for line in told if line.lower().startswith(("cause: ", "caused by: "))]
    chosen = told[:1] + causes[-1:] if told[:1] != causes[-1:] else told[:1]
    return ": ".join(map(_bare, chosen or lines[:1])) or "the resolver said nothing"


def _bare(line: str) -> str:
    return re.sub(r"^(?:error|cause|caused by): ", "", line, flags=re.IGNORECASE)
