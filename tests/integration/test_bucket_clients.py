"""Real pip, new and old, and real uv install from a public bucket of a real S3 server, over plain HTTP."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from mirrors import NOW, wheel_change
from packaging.utils import canonicalize_name
from s3_proxy import Proxy, proxied
from s3_servers import SERVERS, Server
from uv import find_uv_bin

from wheelbuilder.build.process import Completed, run
from wheelbuilder.mirror.consumers import Installer, Kind, snippet
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import HTML_TYPE, JSON_TYPE, View, page_key
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.serve import serving
from wheelbuilder.mirror.settle import write

pytestmark = [pytest.mark.integration, pytest.mark.s3]

CLEAN = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_PROXY": "127.0.0.1"}
OPTIONS = ("install", "--no-cache-dir", "--progress-bar=off")
UV = (find_uv_bin(), "--no-cache", "pip", "install", f"--python={sys.executable}")
OLD = "23.2"
TOLD_BY = ("moto", "radosgw")  # servers that have an access log of their own
GAPPED = canonicalize_name("gapped")
METADATA = b"Metadata-Version: 2.1\nName: gapped\nVersion: 1.0\nRequires-Dist: plain==1.0\n"
WRONG = "0" * 64  # a digest that nothing has
BOTH = {"gapped-1.0", "plain-1.0"}
# The default suite takes one server: what clients read is the same on all of them.
USED = SERVERS if "S3_SERVERS" in os.environ else SERVERS[:1]


@dataclass(frozen=True, kw_only=True)
class Client:
    """An installer, and how it is started. Where to look besides the index it is told is configured."""

    kind: Installer
    argv: tuple[str, ...]

    def install(self, target: Path, index: str, *words: str, settings: str = "") -> Completed:
        config = target.parent / "config"
        config.write_text(settings)
        if self.kind is Installer.UV:
            argv = (*self.argv, "--config-file", str(config), "--default-index", index)
        else:
            argv = (*self.argv, "--index-url", index)
        env = CLEAN | {"PIP_CONFIG_FILE": str(config)}
        return run((*argv, *words, "--target", str(target)), env=env, cwd=target.parent, timeout=120)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A mirror in a public bucket, seen through a proxy that notes requests, beside its upstream."""

    server: Server
    store: S3Store
    proxy: Proxy
    public: str  # where the proxy has the mirror
    upstream: str

    def index(self, view: str, channel: str = "stable") -> str:
        return f"{self.public}/channels/{channel}/{view}/"

    def read(self, ending: str) -> list[str]:
        """The paths that end so, of what clients got."""
        got = [it for it in self.proxy.requests if it.method == "GET" and it.path.endswith(ending)]
        assert all(it.status == 200 for it in got), got
        return [it.path for it in got]


@pytest.fixture(scope="module", params=USED)
def mirror(
    request: pytest.FixtureRequest,
    s3_servers: Callable[[str], Server],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Upstream has `gapped` for another system only, and `plain` for all; we have `gapped`."""
    folder = tmp_path_factory.mktemp("clients")
    theirs = DirectoryStore(folder / "upstream")
    foreign = wheel_change(folder / "up", "gapped", tag="cp311-cp311-win_amd64")
    publish(theirs, "stable", [foreign, wheel_change(folder / "up", "plain")], run="", now=NOW)
    server = s3_servers(request.param)
    bucket = server.new_bucket()
    with ExitStack() as stack:
        upstream = stack.enter_context(serving(theirs.path)).url
        proxy = stack.enter_context(proxied(server.endpoint))
        store = bucket.store("ci/mirror")
        ours = wheel_change(folder / "built", "gapped", metadata=METADATA)
        publish(store, "stable", [ours, *pinned(theirs, upstream)], run="", now=NOW)
        public = f"{bucket.make_public()}/ci/mirror".replace(server.endpoint, proxy.endpoint)
        index = f"{upstream}channels/stable/simple/"
        yield Site(server=server, store=store, proxy=proxy, public=public, upstream=index)


@pytest.fixture
def site(mirror: Site) -> Site:
    mirror.proxy.requests.clear()
    return mirror


@pytest.fixture(scope="module", params=["pip", f"pip-{OLD}", "uv"])
def client(request: pytest.FixtureRequest) -> Client:
    if request.param == "uv":
        return Client(kind=Installer.UV, argv=UV)
    argv = request.getfixturevalue("pip_23_2") if OLD in request.param else (sys.executable, "-m", "pip")
    return Client(kind=Installer.PIP, argv=(*argv, *OPTIONS))


@pytest.fixture(scope="session")
def pip_23_2(pytestconfig: pytest.Config) -> tuple[str, ...]:
    """The pip that the distributions of 2023 have, fetched once."""
    folder = pytestconfig.cache.mkdir(f"pip-{OLD}")
    if not (folder / f"pip-{OLD}.dist-info").exists():
        fetch = (sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(folder), f"pip=={OLD}")
        done = run(fetch, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"}, network=True, timeout=120)
        if not done.ok:
            pytest.skip(f"pip {OLD} cannot be fetched here")
    return (sys.executable, str(folder / "pip"))


def pinned(store: DirectoryStore, url: str) -> list[Change]:
    """What upstream has of the pins, with absolute URLs, as a plan finds it."""
    return [
        Change(project=name, upstream=tuple(replace(it, url=url + quote(it.url)) for it in files))
        for name, files in contents(store, "stable").projects.items()
    ]


def installed(target: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def content_type(url: str) -> str:
    with urlopen(url) as answer:
        return str(answer.headers["content-type"])


@pytest.mark.parametrize("view", View)
def test_it_installs_from_every_view(site: Site, client: Client, tmp_path: Path, view: View) -> None:
    if view.is_gap:
        text = snippet(client.kind, site.public, channel="stable", kind=Kind.GAP)
        settings = text.replace(f"/{View.GAP}/", f"/{view}/")
        done = client.install(tmp_path / "t", site.upstream, "gapped", settings=settings)
    else:
        done = client.install(tmp_path / "t", site.index(view), "gapped")
    assert done.ok and installed(tmp_path / "t") == BOTH, done.stdout + done.stderr
    (page,) = site.read(f"/channels/stable/{view}/gapped/")
    (metadata,) = site.read("/gapped-1.0-py3-none-any.whl.metadata")  # once, PEP 658
    (wheel,) = site.read("/gapped-1.0-py3-none-any.whl")
    assert metadata == f"{wheel}.metadata"
    order = [it.path for it in site.proxy.requests if it.path in (page, metadata, wheel)]
    assert order == [page, metadata, wheel]
    assert content_type(f"{site.index(view)}gapped/") == (JSON_TYPE if view.is_json else HTML_TYPE)
    told_by_the_server(site.server, order)


def told_by_the_server(server: Server, paths: Sequence[str]) -> None:
    """Compare with the server's own access log, where it has one."""
    if server.name in TOLD_BY:
        lines = re.findall(r'"GET (\S+) HTTP/1.1" 200', server.log.read_text(errors="replace"))
        assert set(paths) <= set(lines)


def of_the_wheel(page: bytes) -> bytes:
    """Another digest where a page gives that of a wheel's bytes."""
    if page.startswith(b"{"):
        document = json.loads(page)
        document["files"][0]["hashes"]["sha256"] = WRONG
        return json.dumps(document).encode()
    return re.sub(rb"#sha256=[0-9a-f]{64}", b"#sha256=" + WRONG.encode(), page)


def of_the_metadata(page: bytes) -> bytes:
    """Another digest where a page gives that of a wheel's metadata."""
    if page.startswith(b"{"):
        document = json.loads(page)
        document["files"][0]["core-metadata"]["sha256"] = WRONG
        return json.dumps(document).encode()
    return re.sub(rb'metadata="sha256=[0-9a-f]{64}"', b'metadata="sha256=' + WRONG.encode() + b'"', page)


@pytest.mark.parametrize("wrong", [of_the_wheel, of_the_metadata])
@pytest.mark.parametrize("view", [View.GAP, View.GAP_JSON])
def test_a_wrong_digest_is_refused(
    site: Site, client: Client, tmp_path: Path, view: View, wrong: Callable[[bytes], bytes]
) -> None:
    publish(site.store, "wrong", [wheel_change(tmp_path, "foo")], run="", now=NOW)
    key = page_key("wrong", view, canonicalize_name("foo"))
    found = site.store.get(key)
    assert found and wrong(found.data) != found.data
    write(site.store, key, wrong(found.data))
    done = client.install(tmp_path / "t", site.index(view, "wrong"), "foo")
    write(site.store, key, found.data)
    assert not done.ok and installed(tmp_path / "t") == set()
    words = (done.stdout + done.stderr).lower()
    assert "hash" in words and WRONG in words, words
    refused = "/foo-1.0-py3-none-any.whl" + (".metadata" if wrong is of_the_metadata else "")
    assert site.read(refused)


def test_a_right_digest_is_not(site: Site, client: Client, tmp_path: Path) -> None:
    publish(site.store, "wrong", [wheel_change(tmp_path, "foo")], run="", now=NOW)
    done = client.install(tmp_path / "t", site.index(View.GAP_JSON, "wrong"), "foo")
    assert done.ok and installed(tmp_path / "t") == {"foo-1.0"}, done.stdout + done.stderr
