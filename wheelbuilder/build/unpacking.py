"""Unpacking packages of a Debian archive with what they depend on; nothing of them is configured or run."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.errors import ConfigurationError, UnreachableError

MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh")
NO_UPDATES = r'sed -i "/-updates\|-security/d" "$1"/etc/apt/sources.list'
TIME_LIMIT = 1800.0  # seconds
ARCHIVES = "var/cache/apt/archives"  # where the packages themselves are left
NO_PACKAGE = re.compile(
    rb"^E: (?:Unable to locate package|Package ['\"]?)\s*(\S+?)['\"]?(?: has no .*)?$", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What is unpacked. name: what people call the result. architecture: Debian's word for it.

    packages: names, or patterns as apt takes them. sources: lines of sources.list, in place of those that
    mmdebstrap writes for the suite.
    """

    name: str
    suite: str
    architecture: str
    packages: tuple[str, ...]
    sources: tuple[str, ...] = ()


def extract(contents: Contents, folder: Path, *, log: Path, updates: bool = True) -> None:
    """Unpack into a folder that does not exist yet. Needs root.

    updates: also use the suite's updates and security updates (a mirror may have them half). Raises
    ConfigurationError naming a package that the archive does not have, and UnreachableError for
    everything else that mmdebstrap can fail of.
    """
    before = log.stat().st_size if log.exists() else 0
    argv = _command(contents, folder, updates=updates)
    if not process.run(argv, log=log, timeout=TIME_LIMIT, network=True).ok:
        with log.open("rb") as file:
            file.seek(before)
            raise _complaint(contents, file.read(), log, updates=updates)


def _command(contents: Contents, folder: Path, *, updates: bool) -> tuple[str, ...]:
    return (
        *("setpriv", "--pdeathsig", "TERM"),  # when we are killed, it shall not go on alone
        "mmdebstrap",
        "--variant=extract",
        f"--architectures={contents.architecture}",
        f"--setup-hook={MERGED_USR}",
        *(() if updates else (f"--setup-hook={NO_UPDATES}",)),
        *(f"--include={name}" for name in contents.packages),
        "--skip=cleanup/apt/cache",  # the packages' scripts are read afterwards
        contents.suite,
        str(folder),
        *contents.sources,
    )


def _complaint(
    contents: Contents, output: bytes, log: Path, *, updates: bool = True
) -> ConfigurationError | UnreachableError:
    missing = dict.fromkeys(name.decode(errors="replace") for name in NO_PACKAGE.findall(output))
    if missing:
        names = " and no package ".join(missing)
        return ConfigurationError(
            f"{contents.suite} has no package {names} for {contents.architecture}.",
            "Correct the recipe or the image table; packages are searched at the suite's own archive.",
        )
    lines = [line for line in output.decode(errors="replace").splitlines() if line.startswith("E: ")]
    fetches = sum(line.startswith("E: Failed to fetch") for line in lines)
    what = lines[0].removeprefix("E: ") if lines else "mmdebstrap failed"
    more = f" (and {fetches - 1} more)" if fetches > 1 else ""
    advice = _advice(updates=updates) if fetches else ""
    return UnreachableError(f"{contents.name} cannot be unpacked: {what}{more}", f"{advice}See {log}.")


def _advice(*, updates: bool) -> str:
    """Say what helps against a mirror that has lists of one day and packages of another."""
    without = ", use `--without-updates` of `wheelbuilder images build`" if updates else ""
    return (
        f"The mirror may be half updated: try later{without}, or name one that is whole"
        " under apt-sources in the image table. "
    )


def discard(folder: Path) -> None:
    """Remove what was being made, unless something is still mounted in it: /dev of the host, say."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    below = [words[1] for words in map(str.split, mounts) if words[1].startswith(f"{folder}/")]
    if below:
        raise UnreachableError(
            f"{folder} cannot be removed: {below[0]} is a mount.", f"Run `umount {below[0]}`."
        )
    shutil.rmtree(folder, ignore_errors=True)
