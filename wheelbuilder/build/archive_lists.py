"""Fetches a Debian archive's lists of packages and of files, from where the roots come from.

mmdebstrap, which makes the roots, says what it would write into sources.list; apt does the rest in a
folder of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Root

TIMEOUT = 600.0  # seconds for each list
APT_HELPER = "/usr/lib/apt/apt-helper"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveLists:
    """The suite of an archive root as apt sees it from an empty system in a folder."""

    root: Root
    folder: Path

    def packages(self) -> tuple[Path, ...]:
        """Return the lists of packages, signatures checked; a mirror that is half updated may give some.

        Raises UnreachableError where it gives none.
        """
        self._lay_out()
        done = process.run(self._apt("apt-get", "update"), timeout=TIMEOUT, network=True)
        lists = tuple(sorted((self.folder / "var/lib/apt/lists").glob("*_Packages")))
        if not lists:
            said = (done.stderr or done.stdout).strip().splitlines() or ["apt-get printed nothing"]
            raise UnreachableError(f"The lists of {self.root.suite} cannot be fetched: {said[-1]}")
        return lists

    def files(self, arch: str) -> tuple[Path, ...]:
        """Return the lists of files (Contents) for an architecture or "all", of what `packages` has found.

        They are not held against the signed release: a mirror has them of another day than that, and
        they count only for packages that the other lists have. Raises UnreachableError where there is none.
        """
        form = "$(BASE_URI)$(COMPONENT)"
        places = process.check(self._apt("apt-get", "indextargets", "--format", form)).split()
        fetched = []
        for number, place in enumerate(dict.fromkeys(places)):
            target = self.folder / f"{arch}-{number}.gz"
            words = ("download-file", f"{place}/Contents-{arch}.gz", str(target))
            # Some parts of an archive, such as security updates, have none.
            if process.run(self._apt(APT_HELPER, *words), timeout=TIMEOUT, network=True).ok:
                fetched.append(target)
        if not fetched:
            raise UnreachableError(f"{self.root.suite} has no list of files for {arch}.")
        return tuple(fetched)

    def _lay_out(self) -> None:
        skipped = "check/qemu,update,cleanup"  # nothing runs in it
        command = ("mmdebstrap", "--simulate", "--quiet", "--variant=custom", f"--skip={skipped}")
        process.check(
            (
                *command,
                f"--architectures={self.root.arch.debian}",
                self.root.suite,
                str(self.folder),
                *self.root.apt_sources,
            ),
            timeout=TIMEOUT,
        )

    def _apt(self, *words: str) -> tuple[str, ...]:
        settings = {
            "Dir": str(self.folder),
            "Dir::State::Status": str(self.folder / "var/lib/dpkg/status"),
            "Dir::Etc::Trusted": "/etc/apt/trusted.gpg",
            "Dir::Etc::TrustedParts": "/etc/apt/trusted.gpg.d/",
            "APT::Architecture": self.root.arch.debian,
            "APT::Architectures": self.root.arch.debian,
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": "none",
        }
        options = (f"--option={name}={value}" for name, value in settings.items())
        program, *rest = words
        return "setpriv", "--pdeathsig", "TERM", program, *options, *rest
