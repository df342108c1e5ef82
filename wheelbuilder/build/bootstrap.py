"""Making a root from a Debian archive, natively: unpack, then make by hand what configuring would.

No maintainer script runs, neither as root of the host nor under emulation, which takes minutes. The same way
serves native architectures: it is faster there too, and the roots of all architectures are alike.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.alternatives import alternatives, make_links
from wheelbuilder.build.bytecode import compile_tree
from wheelbuilder.build.unpacking import ARCHIVES, Contents, extract
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Root

NOBODY = "65534:65534"
USER = "builder:x:1000:1000:builds and trials:/tmp:/bin/sh"
GROUP = "builder:x:1000:"
UNUSED = ("doc", "info", "locale", "man", "lintian", "bash-completion", "common-licenses")
PACKAGE_LIST = "usr/share/wheelbuilder/packages"


def unpack(root: Root, folder: Path, *, log: Path, updates: bool = True) -> None:
    """Make the file system of an archive root in a folder that does not exist yet. Needs root.

    updates and what it raises: see `unpacking.extract`.
    """
    contents = Contents(
        name=f"The root {root.name}",
        suite=root.suite,
        architecture=root.arch.debian,
        packages=("?essential", *root.packages),
        sources=root.apt_sources,
    )
    extract(contents, folder, log=log, updates=updates)
    for step in STEPS:
        step(root, folder)


def _name_accounts(_: Root, folder: Path) -> None:
    for name, own in (("passwd", USER), ("group", GROUP)):
        master = (folder / f"usr/share/base-passwd/{name}.master").read_text(encoding="utf-8")
        # The master's root has "*" for a password, which means: look into shadow, and there is none.
        (folder / "etc" / name).write_text(f"{master.replace(':*:', ':x:')}{own}\n", encoding="utf-8")


def _link_alternatives(_: Root, folder: Path) -> None:
    archives = sorted((folder / ARCHIVES).glob("*.deb"))
    make_links(folder, alternatives(_script(archive) for archive in archives))
    shell = folder / "bin/sh"
    if not shell.exists():
        shell.symlink_to("dash")  # a diversion in Debian 11


def _script(archive: Path) -> str:
    """Return the postinst of a package, "" if it has none; dpkg-deb prints it without running it."""
    done = process.run(("dpkg-deb", "--info", str(archive), "postinst"), timeout=60)
    return done.stdout if done.ok else ""


def _note_packages(_: Root, folder: Path) -> None:
    """Keep names and versions, for records: nothing was registered with dpkg."""
    names = sorted(path.name.removesuffix(".deb") for path in (folder / ARCHIVES).glob("*.deb"))
    path = folder / PACKAGE_LIST
    path.parent.mkdir(parents=True)
    path.write_text(
        "".join(f"{name.replace('%3a', ':').replace('_', ' ')}\n" for name in names), encoding="utf-8"
    )


def _bundle_certificates(_: Root, folder: Path) -> None:
    certificates = sorted((folder / "usr/share/ca-certificates").rglob("*.crt"))
    if certificates:
        bundle = folder / "etc/ssl/certs/ca-certificates.crt"
        bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))
        default = folder / "usr/lib/ssl/cert.pem"
        if default.parent.is_dir() and not default.is_symlink():
            default.symlink_to("/etc/ssl/certs/ca-certificates.crt")


def _copy_defaults(_: Root, folder: Path) -> None:
    shutil.copyfile(folder / "usr/share/libc-bin/nsswitch.conf", folder / "etc/nsswitch.conf")
    for name in ("resolv.conf", "hostname"):  # of the host that made the root
        (folder / "etc" / name).write_bytes(b"")
    (folder / "etc/hosts").write_text("127.0.0.1\tlocalhost\n", encoding="ascii")


def _allow_pip(_: Root, folder: Path) -> None:
    """Remove the marker of PEP 668: wheels are tried with plain pip, and apt never touches this root."""
    for marker in (folder / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
        marker.unlink()


def _remove_unused(_: Root, folder: Path) -> None:
    shutil.rmtree(folder / "var/cache/apt", ignore_errors=True)
    for name in UNUSED:
        shutil.rmtree(folder / "usr/share" / name, ignore_errors=True)


def _cache_libraries(root: Root, folder: Path) -> None:
    """Let the root's own ldconfig write /etc/ld.so.cache: the host's knows only its own architecture.

    It runs as nobody and writes to /tmp only; we move the file.
    """
    made = folder / "tmp/ld.so.cache"
    argv = ("chroot", f"--userspec={NOBODY}", str(folder), "/sbin/ldconfig", "-X", "-C", "/tmp/ld.so.cache")  # noqa: S108
    done = process.run(argv, timeout=120)
    if not done.ok or not made.is_file() or made.is_symlink():
        raise UnreachableError(
            f"Programs for {root.arch.name} do not run on this machine: {done.stderr.strip()[-200:]}",
            "`wheelbuilder doctor` says what is missing; as root, `make setup` registers the emulators.",
        )
    (folder / "etc/ld.so.cache").write_bytes(made.read_bytes())
    made.unlink()


def _compile_modules(_: Root, folder: Path) -> None:
    for place in (folder / "usr/lib").glob("python3.*"):
        minor = place.name.removeprefix("python3.")
        if minor.isdigit():
            for modules in (place, folder / "usr/lib/python3/dist-packages"):
                compile_tree(modules, (3, int(minor)), f"/{modules.relative_to(folder)}")


STEPS: tuple[Callable[[Root, Path], None], ...] = (
    _name_accounts,
    _link_alternatives,
    _note_packages,
    _bundle_certificates,
    _copy_defaults,
    _allow_pip,
    _remove_unused,
    _cache_libraries,
    _compile_modules,
)
