"""Pulling roots by digest from a real registry on loopback, and pushing them there."""

from __future__ import annotations

import shutil
import socket
import tomllib
from collections.abc import Iterator

import pytest
import requests
from engines import engine, image, log_of, root
from registries import serving

from wheelbuilder.build.manifests import commands, push
from wheelbuilder.build.roots import ensure, remove
from wheelbuilder.build.smoke import smoke
from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, Root, default_path
from wheelbuilder.inputs.tables import Table

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed"),
]
ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def pushed(registry: str) -> str:
    """Both bare bookworm roots, pushed by our own command; the reference of their list."""
    roots = [root(arch, Role.BARE) for arch in ("x86_64", "aarch64")]
    return push(engine(), roots, f"{registry}/wheels", log=log_of("push"))


def test_one_list_names_both_architectures(registry: str, pushed: str) -> None:
    assert pushed == f"{registry}/wheels/bookworm-bare:latest"
    listed = manifest(registry, "latest").json()
    rows = {row["platform"]["architecture"]: row["digest"] for row in listed["manifests"]}
    assert rows == {"amd64": digest(registry, "x86_64"), "arm64": digest(registry, "aarch64")}


def test_pushing_leaves_no_names_behind(registry: str, pushed: str) -> None:
    assert registry not in " ".join(engine().images())


def test_a_root_is_pulled_by_its_digest_and_hides_what_it_shall(registry: str, pushed: str) -> None:
    bare = pinned(
        registry, "x86_64", digest(registry, "x86_64"), hides=["/usr/share/perl5", "/usr/lib/python3"]
    )
    try:
        tag = ensure(engine(), bare, log=log_of("pull"))
        assert smoke(engine(), bare, tag).startswith("python 3.11")
        script = "ls -d /usr/share/perl5 /usr/lib/python3 /usr/lib/python3.11 2>/dev/null"
        assert engine().run(tag, ("sh", "-c", script), timeout=60).stdout == "/usr/lib/python3.11\n"
    finally:
        forget(bare)


def test_a_foreign_root_is_pulled_with_its_architecture(registry: str, pushed: str) -> None:
    bare = pinned(registry, "aarch64", digest(registry, "aarch64"))
    try:
        assert engine().architecture(ensure(engine(), bare, log=log_of("pull"))) == "arm64"
    finally:
        forget(bare)


def test_an_image_of_another_architecture_is_refused(registry: str, pushed: str) -> None:
    bare = pinned(registry, "aarch64", digest(registry, "x86_64"))
    try:
        with pytest.raises(IntegrityError, match="is an image for amd64, not for arm64"):
            ensure(engine(), bare, log=log_of("pull"))
        assert not engine().has(bare.tag)
    finally:
        forget(bare)


def test_a_digest_that_the_registry_does_not_have_is_one_sentence(registry: str, pushed: str) -> None:
    bare = pinned(registry, "x86_64", f"sha256:{'0' * 64}")
    with pytest.raises(IntegrityError) as caught:
        ensure(engine(), bare, log=log_of("pull"))
    assert caught.value.message == f"The registry has no image {bare.image}."
    assert "images.toml" in caught.value.hint and not engine().has(bare.tag)


def test_bytes_that_do_not_have_their_digest_are_refused(
    registry: str, pushed: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if engine().name == "docker":
        pytest.skip("docker keeps the manifests that it has checked and does not ask again")
    right = digest(registry, "aarch64").removeprefix("sha256:")
    blob, *_ = tmp_path_factory.getbasetemp().glob(
        f"registry*/s/docker/registry/v2/blobs/sha256/*/{right}/data"
    )
    before = blob.read_bytes()
    bare = pinned(registry, "aarch64", f"sha256:{right}")
    try:
        blob.write_bytes(before + b" ")
        with pytest.raises(IntegrityError, match="The registry has no image"):
            ensure(engine(), bare, log=log_of("pull"))
    finally:
        blob.write_bytes(before)
        forget(bare)


def test_a_registry_that_does_not_answer_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(UnreachableError, match="cannot be pulled"):
        ensure(engine(), pinned(address, "x86_64", f"sha256:{'1' * 64}"), log=log_of("pull"))


def test_dockers_commands_name_all_images_at_once() -> None:
    docker = type(engine())(name="docker", version="")
    assert list(commands(docker, "registry.example.org/x:latest", ["a", "b"])) == [
        ("manifest", "create", "registry.example.org/x:latest", "a", "b"),
        ("manifest", "push", "--purge", "registry.example.org/x:latest"),
    ]


def pinned(registry: str, arch: str, sha256: str, hides: list[str] | None = None) -> Root:
    """The bare root of a family that an image table pins by digest."""
    text = f"""
[families.pinned]
source = "registry"
policy = "manylinux_2_36"
bare-hides = {hides or []!r}
pythons.cp311 = {{ path = "/usr/bin/python3.11", version = "3.11.2" }}
images.{arch} = "{registry}/wheels/bookworm-bare@{sha256}"
"""
    own = tomllib.loads(default_path().read_text(encoding="utf-8"))
    table = Table({**tomllib.loads(text), "architectures": own["architectures"]}, "images.toml")
    return Catalogue.parse(table).families["pinned"].roots[arch, Role.BARE]


def forget(bare: Root) -> None:
    """Remove what was pulled. By a digest alone podman would find, and remove, the root that was pushed."""
    if engine().has(bare.tag):
        remove(engine(), bare.tag)
    if bare.image.partition("@")[0] in {name.rpartition(":")[0] for name in engine().images()}:
        remove(engine(), bare.image)


def manifest(registry: str, reference: str) -> requests.Response:
    url = f"http://{registry}/v2/wheels/bookworm-bare/manifests/{reference}"
    answer = requests.get(url, headers={"Accept": ACCEPTED}, timeout=20)
    answer.raise_for_status()
    return answer


def digest(registry: str, arch: str) -> str:
    return manifest(registry, image(arch).rpartition(":")[2]).headers["Docker-Content-Digest"]
