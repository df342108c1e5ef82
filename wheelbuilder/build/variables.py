"""The environment variables of a build's hooks: fixed, so that equal inputs give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping

from wheelbuilder.build import backend


def variables(epoch: int, jobs: int, path: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return them. epoch: SOURCE_DATE_EPOCH; jobs: compilers at a time; own: the recipe's, which win.

    path: the root's own PATH; pulled images have their compilers in places of their own.
    """
    return {
        "PATH": f"{backend.ENVIRONMENT}/bin:{path}",
        "HOME": "/tmp",  # noqa: S108  (inside the container)
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "ZERO_AR_DATE": "1",
        # No debug sections: they hold paths, triple the size and take a third of a compile. CFLAGS would
        # replace the interpreter's own flags (setuptools 75.7 and later); these two are added to them.
        "CPPFLAGS": "-g0",
        "LDFLAGS": "-Wl,--strip-debug",
        "MAKEFLAGS": f"-j{jobs}",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "MAX_JOBS": str(jobs),
        "NPY_NUM_BUILD_JOBS": str(jobs),
        "CARGO_BUILD_JOBS": str(jobs),
        **own,
    }
