"""Asks the package manager inside an image that was pulled which package provides what a build missed."""

from __future__ import annotations

from collections.abc import Sequence

from wheelbuilder.build.engine import Engine
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.providers import MOST
from wheelbuilder.inputs.images import Root
from wheelbuilder.inputs.recipes import PACKAGE_NAME

TIMEOUT = 300.0  # seconds
# What an RPM provides, or has as a file; and what an apk does, which has no index of headers.
RPM = {
    Kind.HEADER: "/usr/include*/{name}",
    Kind.LIBRARY: "/usr/lib*/lib{name}.so",
    Kind.PROGRAM: "/usr/*bin/{name}",
    Kind.PKG_CONFIG: "pkgconfig({name})",
    Kind.CMAKE: "cmake({name})",
}
APK = {Kind.PROGRAM: "cmd:{name}", Kind.PKG_CONFIG: "pc:{name}"}
# The image's own package manager, which may use the network; nothing of a build is in that container.
ASK = (
    "if command -v dnf >/dev/null; then"
    " dnf --quiet --setopt=cachedir=/tmp/dnf --setopt=logdir=/tmp repoquery --queryformat '%{name}\\n'"
    ' --whatprovides "$1"; elif test -n "$2"; then apk --no-cache search --quiet --exact "$2"; fi'
)


def providers(engine: Engine, root: Root, wanted: Sequence[Missing]) -> tuple[tuple[str, ...], ...]:
    """Return for each missing thing the packages that have it; none where the image does not say."""
    return tuple(_providers(engine, root, each) for each in wanted)


def _providers(engine: Engine, root: Root, wanted: Missing) -> tuple[str, ...]:
    rpm = RPM[wanted.kind].format(name=wanted.name)
    apk = APK.get(wanted.kind, "").format(name=wanted.name)
    done = engine.run(
        root.tag, ("/bin/sh", "-c", ASK, "sh", rpm, apk), network=True, timeout=TIMEOUT, user="0:0"
    )
    names = {name for name in done.stdout.split() if PACKAGE_NAME.fullmatch(name)}
    return tuple(sorted(names, key=lambda name: (not name.endswith(("-devel", "-dev")), len(name), name)))[
        :MOST
    ]
