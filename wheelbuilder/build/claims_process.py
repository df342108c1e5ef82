"""Compares what a wheel needs with what its tags claim, and with what it holds: JSON in, JSON out.

A process a wheel, because auditwheel changes directory and caches by path.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from auditwheel.architecture import Architecture
from auditwheel.error import AuditwheelError, NonPlatformWheelError
from auditwheel.libc import Libc
from auditwheel.policy import Policy, WheelPolicies
from auditwheel.wheel_abi import WheelAbIInfo, analyze_wheel_abi

from wheelbuilder.build.auditwheel_places import NOWHERE, look_only_in
from wheelbuilder.build.elf_objects import foreign_paths

NO_FOLDERS = ""  # libraries of this machine say nothing about the consumer's
GLIBC = re.compile(r"GLIBC_(?P<x>[0-9]+)\.(?P<y>[0-9]+)(\.[0-9]+)?")


def main() -> None:
    """Read the request from standard input, write the answer to standard output."""
    print(json.dumps(answer(json.load(sys.stdin))))  # noqa: T201  (the answer is the output)


def answer(request: dict[str, Any]) -> dict[str, str]:
    """Return {} if a wheel keeps its claims and looks nowhere else for libraries, else `refused`: a sentence.

    Request: wheel; claims, each with tag, libc, version and arch; exclude, patterns of libraries.
    """
    look_only_in(NOWHERE)
    for claim in request["claims"]:
        try:
            refused = _broken(claim, Path(request["wheel"]), frozenset(request["exclude"]))
        except NonPlatformWheelError:
            refused = f"it holds no code for {claim['tag']}"
        except (AuditwheelError, RuntimeError) as error:
            refused = f"auditwheel refuses it: {' '.join(str(error).split())}"
        if refused:
            return {"refused": refused}
    refused = _stray(Path(request["wheel"]))
    return {"refused": refused} if refused else {}


def _broken(claim: dict[str, Any], wheel: Path, exclude: frozenset[str]) -> str:
    """Return how a wheel breaks a claim, or an empty string."""
    abi = analyze_wheel_abi(
        Libc.GLIBC if claim["libc"] == "manylinux" else Libc.MUSL,
        Architecture(claim["arch"]),
        wheel,
        exclude,
        disable_isa_ext_check=False,
        allow_graft=True,
        args_ldpaths=NO_FOLDERS,
    )
    policy = _policy(abi.policies, claim)
    if newer := _newer_symbols(abi, policy, claim):
        return f"it needs newer symbols than {claim['tag']} promises: {newer}"
    if libraries := sorted(abi.external_refs[policy.name].libs):
        return f"it needs libraries that {claim['tag']} does not promise: {', '.join(libraries)}"
    if policy > abi.ucs_policy:
        return "it was compiled against a UCS2 build of Python"
    if policy > abi.blacklist_policy:
        return f"it uses symbols that {claim['tag']} forbids"
    if policy > abi.machine_policy:
        return "it uses instruction set extensions beyond the architecture's baseline"
    return ""


def _stray(wheel: Path) -> str:
    """Return which object looks for libraries outside of the wheel, or an empty string."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            for folder in foreign_paths(archive.read(name)):
                return f"{name} looks for libraries in {folder!r}, which is not named from $ORIGIN (RPATH)"
    return ""


def _policy(policies: WheelPolicies, claim: dict[str, Any]) -> Policy:
    """Return the policy that judges a claim: the first as new or newer, since not every glibc has one."""
    if claim["libc"] == "musllinux":
        return policies.highest
    oldest_first = sorted((it for it in policies if it != policies.linux), reverse=True)
    return next((it for it in oldest_first if _version(it) >= claim["version"]), policies.lowest)


def _version(policy: Policy) -> list[int]:
    return [int(number) for number in policy.name.split("_")[1:3]]


def _newer_symbols(abi: WheelAbIInfo, policy: Policy, claim: dict[str, Any]) -> str:
    symbols = {symbol for of in abi.versioned_symbols.values() for symbol in of}
    if claim["libc"] == "manylinux":
        matches = {symbol: match for symbol in symbols if (match := GLIBC.fullmatch(symbol))}
        newer = [it for it, match in matches.items() if [int(match["x"]), int(match["y"])] > claim["version"]]
        if newer:
            return ", ".join(sorted(newer))
    return ", ".join(sorted(symbols)) if policy > abi.sym_policy else ""


if __name__ == "__main__":
    main()
