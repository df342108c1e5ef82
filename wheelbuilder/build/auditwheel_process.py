"""Repairs one wheel with auditwheel's functions, as a process of its own: JSON in, JSON out.

A process a wheel, because auditwheel changes directory and caches by path. Its command line refuses
foreign architectures, and only the command line has the refusal checks, so they are repeated here.
"""

from __future__ import annotations

import json
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from auditwheel.architecture import Architecture
from auditwheel.error import NonPlatformWheelError
from auditwheel.libc import Libc
from auditwheel.patcher import ElfPatcher
from auditwheel.repair import repair_wheel
from auditwheel.wheel_abi import WheelAbIInfo, analyze_wheel_abi
from auditwheel.wheeltools import InWheelCtx

from wheelbuilder.build.auditwheel_places import look_only_in
from wheelbuilder.build.elf_objects import foreign_paths, is_of_a_wheel, needed, search_paths

ZIP_LEVEL = 6  # what is published is read thousands of times


def main() -> None:
    """Read the request from standard input, write the answer to standard output."""
    print(json.dumps(repair(json.load(sys.stdin))))  # noqa: T201  (the answer is the output)


def repair(request: dict[str, Any]) -> dict[str, Any]:
    """Repair a wheel to the best policy it meets, at most the target's.

    Request: wheel, out, libc, arch, policy (`manylinux_2_28_aarch64`), root, folders (where the root's
    libraries are), exclude, graft. Answer: `refused` with a sentence, or `wheel`, `libraries` (copied in)
    and `outside` (needed, and left to the consumer's system).
    """
    look_only_in(Path(request["root"]))
    try:
        abi = _analyze(request)
    except NonPlatformWheelError as error:
        return {"refused": f"auditwheel finds no platform code in it: {error.message}"}
    ceiling = abi.policies.get_policy_by_name(request["policy"])
    if refusal := _refusal(abi, ceiling):
        return {"refused": refusal}
    policy = max(ceiling, abi.overall_policy)  # auditwheel orders policies by how many systems they fit
    libraries = abi.external_refs[policy.name].libs
    outside = _outside(Path(request["wheel"]), libraries, request["exclude"])
    if outside:
        # It may use all that this root's version of the library has; older systems have older versions.
        policy = ceiling
        libraries = abi.external_refs[policy.name].libs
    if refusal := _library_refusal(libraries, request):
        return {"refused": refusal}
    abis = [policy.name, *policy.aliases]
    patcher = ElfPatcher.get_patcher("patchelf", policy.name)
    out = repair_wheel(
        abi,
        Path(request["wheel"]),
        abis,
        ".libs",
        Path(request["out"]),
        update_tags=True,
        patcher=patcher,
        strip=False,
        zip_compression_level=ZIP_LEVEL,
    )
    if out is None:
        return {"refused": "auditwheel found nothing to repair in a wheel with native code."}
    if _has_foreign_paths(out):
        _drop_foreign_paths(out, patcher)
    return {"wheel": str(out), "libraries": sorted(libraries), "outside": outside}


def _analyze(request: dict[str, Any]) -> WheelAbIInfo:
    return analyze_wheel_abi(
        Libc.GLIBC if request["libc"] == "manylinux" else Libc.MUSL,
        Architecture(request["arch"]),
        Path(request["wheel"]),
        frozenset(request["exclude"]),
        disable_isa_ext_check=False,
        allow_graft=True,
        requested_policy_base_name=request["policy"].removesuffix(f"_{request['arch']}"),
        args_ldpaths=":".join(request["folders"]),
    )


def _outside(wheel: Path, libraries: dict[str, Path | None], exclude: list[str]) -> list[str]:
    """Return the excluded libraries that the wheel or what is copied into it really needs."""
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            found.update(needed(archive.read(name)))
    for path in libraries.values():
        found.update(needed(path.read_bytes()) if path else ())
    return sorted(name for name in found if any(fnmatch(name, pattern) for pattern in exclude))


def _has_foreign_paths(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any(foreign_paths(archive.read(name)) for name in archive.namelist())


def _drop_foreign_paths(wheel: Path, patcher: ElfPatcher) -> None:
    """Let objects look only from where they are; auditwheel passes over those that need no library."""
    with InWheelCtx(wheel, wheel) as context:
        context.zip_compression_level = ZIP_LEVEL
        for path in filter(Path.is_file, sorted(Path(context.name).rglob("*"))):
            data = path.read_bytes()
            if foreign_paths(data):
                kept = ":".join(filter(is_of_a_wheel, search_paths(data)))
                if kept:
                    patcher.set_rpath(path, kept)
                else:
                    patcher.clear_rpath(path)
        patcher.apply_updates()


def _refusal(abi: WheelAbIInfo, ceiling: Any) -> str:
    if ceiling > abi.sym_policy:
        symbols = "; ".join(
            f"{lib}: {', '.join(sorted(of))}" for lib, of in sorted(abi.versioned_symbols.items())
        )
        return f"it needs newer symbols than {ceiling.name} promises ({symbols})."
    if ceiling > abi.ucs_policy:
        return "it was compiled against a UCS2 build of Python."
    if ceiling > abi.blacklist_policy:
        return "it uses symbols that auditwheel's policies forbid."
    if ceiling > abi.machine_policy:
        return "it uses instruction set extensions beyond the architecture's baseline."
    return ""


def _library_refusal(libraries: dict[str, Path | None], request: dict[str, Any]) -> str:
    missing = sorted(
        name for name, path in libraries.items() if path is None and not name.startswith("libpython")
    )
    if missing:
        return f"it needs libraries that its root does not have: {', '.join(missing)}."
    root = Path(request["root"]).resolve()
    strangers = [f"{n} ({p})" for n, p in libraries.items() if p and not p.resolve().is_relative_to(root)]
    if strangers:
        return f"these libraries would come from outside its root: {', '.join(sorted(strangers))}."
    if libraries and request["graft"] == "refuse":
        return f"its recipe refuses grafting, and it needs {', '.join(sorted(libraries))}."
    return ""


if __name__ == "__main__":
    main()
