"""An image made of one tar archive of a root file system."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

from wheelbuilder.build.engine import Engine

IMPORT_TIMEOUT = 1800.0  # seconds


def import_archive(engine: Engine, path: Path, image: str, oci_architecture: str) -> None:
    """Make a local image of a tar archive of a root file system, for a stated architecture."""
    if engine.kind.import_platform:
        options = engine.kind.import_platform.format(oci=oci_architecture).split()
        engine.call("import", *options, str(path), image, timeout=IMPORT_TIMEOUT)
        return
    with tempfile.TemporaryDirectory(prefix="load-", dir=path.parent) as folder:
        saved = Path(folder, "image.tar")
        write_saved_image(saved, path, image, oci_architecture)
        engine.call("load", "--quiet", "--input", str(saved), timeout=IMPORT_TIMEOUT)


def write_saved_image(saved: Path, layer: Path, image: str, oci_architecture: str) -> None:
    """Write what `docker save` would of an image with one layer (Docker image specification 1.2)."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": oci_architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(saved, "w") as archive:
        for member_name, content in ((name, config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(member_name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        archive.add(layer, "layer.tar")
