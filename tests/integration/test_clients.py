"""Real pip and real uv install from a published store over real HTTP, with a served directory as upstream."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from mirrors import NOW, upstream_file, wheel_change
from packaging.utils import canonicalize_name
from tinywheel import make_wheel
from uv import find_uv_bin

from wheelbuilder.build.process import Completed, run
from wheelbuilder.mirror.consumers import Installer, Kind, snippet
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import JSON_TYPE
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents
from wheelbuilder.mirror.serve import Server, serving

pytestmark = pytest.mark.integration

CHANNEL = "stable"
CLEAN = {"PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_PROXY": "127.0.0.1"}
PIP = (sys.executable, "-m", "pip", "install", "--no-cache-dir", "--progress-bar=off")
UV = (find_uv_bin(), "--no-cache", "pip", "install", f"--python={sys.executable}")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A mirror beside its upstream. Upstream has `gapped` for another system only, and `plain` for all."""

    root: Path
    mirror: Server
    upstream: Server

    def index(self, view: str) -> str:
        return f"{self.mirror.url}channels/{CHANNEL}/{view}/"

    @property
    def upstream_index(self) -> str:
        return f"{self.upstream.url}channels/{CHANNEL}/simple/"

    def read(self, ending: str) -> list[str]:
        """The types of what clients got from the mirror at paths that end so."""
        return [request.content_type for request in self.mirror.requests if request.path.endswith(ending)]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    folder = tmp_path_factory.mktemp("clients")
    theirs, ours = DirectoryStore(folder / "upstream"), DirectoryStore(folder / "mirror")
    foreign = wheel_change(folder / "up", "gapped", "1.0", tag="cp311-cp311-win_amd64")
    publish(theirs, CHANNEL, [foreign, wheel_change(folder / "up", "plain", "1.0")], run="", now=NOW)
    with serving(theirs.path) as upstream:
        metadata = b"Metadata-Version: 2.1\nName: gapped\nVersion: 1.0\nRequires-Dist: plain==1.0\n"
        changes = [
            wheel_change(folder / "built", "gapped", "1.0", metadata=metadata),
            wheel_change(folder / "built", "gapped", "2.0", requires_python=">=3.99"),
            wheel_change(folder / "built", "odd.Name", "1.0+local.1"),
            *pinned(theirs, upstream),
        ]
        assert not publish(ours, CHANNEL, changes, run="", now=NOW).refused
        yield ours.path, upstream


def pinned(store: DirectoryStore, server: Server) -> list[Change]:
    """What upstream has of the pins, with absolute URLs, as a plan finds it."""
    return [
        Change(
            project=name, upstream=tuple(replace(file, url=server.url + quote(file.url)) for file in files)
        )
        for name, files in contents(store, CHANNEL).projects.items()
    ]


@pytest.fixture
def site(published: tuple[Path, Server]) -> Iterator[Site]:
    root, upstream = published
    with serving(root) as mirror:
        yield Site(root=root, mirror=mirror, upstream=upstream)


def installed(
    target: Path, argv: tuple[str, ...], *words: str, env: dict[str, str] | None = None
) -> set[str]:
    done = attempt(target, argv, *words, env=env)
    assert done.ok, done.stdout + done.stderr
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def attempt(target: Path, argv: tuple[str, ...], *words: str, env: dict[str, str] | None = None) -> Completed:
    return run(
        [*argv, *words, "--target", str(target)], env=CLEAN | (env or {}), cwd=target.parent, timeout=120
    )


BOTH = {"gapped-1.0", "plain-1.0"}


class TestPip:
    def test_the_gap_view_beside_upstream(self, site: Site, tmp_path: Path) -> None:
        words = ("--index-url", site.upstream_index, "--extra-index-url", site.index("simple"))
        assert installed(tmp_path / "t", PIP, *words, "gapped") == BOTH
        assert site.read("/simple/gapped/") == [JSON_TYPE]
        assert site.read("/simple/plain/") == [""]  # 404, and pip goes on

    def test_metadata_is_read_before_the_wheel(self, site: Site, tmp_path: Path) -> None:
        words = ("--index-url", site.index("whole"))
        assert installed(tmp_path / "t", PIP, *words, "gapped") == BOTH
        paths = [request.path for request in site.mirror.requests if "/files/" in request.path]
        assert [path.rpartition("/")[2] for path in paths] == [
            "gapped-1.0-py3-none-any.whl.metadata",
            "gapped-1.0-py3-none-any.whl",
        ]

    @pytest.mark.parametrize("view", ["whole", "whole-json"])
    def test_the_whole_view_alone(self, site: Site, tmp_path: Path, view: str) -> None:
        assert installed(tmp_path / "t", PIP, "--index-url", site.index(view), "gapped") == BOTH
        assert site.read(f"/{view}/plain/") == [JSON_TYPE]

    def test_json_without_negotiation(self, site: Site, tmp_path: Path) -> None:
        words = ("--index-url", site.upstream_index, "--extra-index-url", site.index("json"))
        assert installed(tmp_path / "t", PIP, *words, "gapped==1.0") == BOTH
        assert site.read("/json/gapped/") == [JSON_TYPE]

    def test_a_plain_static_host_with_html_alone(self, site: Site, tmp_path: Path) -> None:
        with plain_host(site.root) as host:
            index = f"{host.url}channels/{CHANNEL}/whole/"
            assert installed(tmp_path / "t", PIP, "--index-url", index, "gapped") == BOTH
        assert any(path.endswith(".whl.metadata") for path in host.paths)

    def test_html_from_a_folder(self, site: Site, tmp_path: Path) -> None:
        index = (site.root / "channels" / CHANNEL / "simple").as_uri()
        words = ("--index-url", site.upstream_index, "--extra-index-url", index)
        assert installed(tmp_path / "t", PIP, *words, "gapped") == BOTH

    def test_a_local_version_and_an_unnormalized_name(self, site: Site, tmp_path: Path) -> None:
        words = ("--index-url", site.index("simple"), "Odd_Name==1.0+local.1")
        assert installed(tmp_path / "t", PIP, *words) == {"odd_name-1.0+local.1"}
        assert any("%2B" in request.path for request in site.mirror.requests)

    def test_its_snippet(self, site: Site, tmp_path: Path) -> None:
        config = tmp_path / "pip.conf"
        config.write_text(snippet(Installer.PIP, site.mirror.url, channel=CHANNEL, kind=Kind.WHOLE))
        env = {"PIP_CONFIG_FILE": str(config)}
        assert installed(tmp_path / "t", PIP, "gapped", env=env) == BOTH

    def test_a_cut_off_date_works_on_json(self, site: Site, tmp_path: Path) -> None:
        words = ("--index-url", site.index("whole-json"), "--uploaded-prior-to")
        assert attempt(tmp_path / "a", PIP, *words, "2026-01-01T00:00:00Z", "plain").exit_code != 0
        assert installed(tmp_path / "b", PIP, *words, "2026-01-03T00:00:00Z", "plain") == {"plain-1.0"}

    @pytest.mark.network
    def test_an_older_one(self, site: Site, tmp_path: Path, pip_23_2: tuple[str, ...]) -> None:
        words = ("--index-url", site.upstream_index, "--extra-index-url", site.index("simple"))
        assert installed(tmp_path / "t", pip_23_2, *words, "gapped") == BOTH
        assert site.read(".whl.metadata") == ["application/octet-stream"]
        assert installed(tmp_path / "u", pip_23_2, "--index-url", site.index("whole-json"), "gapped") == BOTH


class TestUv:
    def test_the_whole_view_as_the_only_index(self, site: Site, tmp_path: Path) -> None:
        words = ("--no-config", "--default-index", site.index("whole"))
        assert installed(tmp_path / "t", UV, *words, "gapped") == BOTH
        assert site.read("/whole/gapped/") == [JSON_TYPE]
        assert site.read(".whl.metadata")

    def test_json_without_negotiation(self, site: Site, tmp_path: Path) -> None:
        words = ("--no-config", "--default-index", site.index("whole-json"))
        assert installed(tmp_path / "t", UV, *words, "gapped") == BOTH

    def test_a_plain_static_host_with_html_alone(self, site: Site, tmp_path: Path) -> None:
        with plain_host(site.root) as host:
            index = f"{host.url}channels/{CHANNEL}/whole/"
            assert installed(tmp_path / "t", UV, "--no-config", "--default-index", index, "gapped") == BOTH
        assert any(path.endswith(".whl.metadata") for path in host.paths)

    def test_the_gap_view_with_its_snippet(self, site: Site, tmp_path: Path) -> None:
        config = tmp_path / "uv.toml"
        config.write_text(snippet(Installer.UV, site.mirror.url, channel=CHANNEL, kind=Kind.GAP))
        words = ("--config-file", str(config), "--default-index", site.upstream_index)
        assert installed(tmp_path / "t", UV, *words, "gapped") == BOTH

    def test_its_snippet(self, site: Site, tmp_path: Path) -> None:
        config = tmp_path / "uv.toml"
        config.write_text(snippet(Installer.UV, site.mirror.url, channel=CHANNEL))
        assert installed(tmp_path / "t", UV, "--config-file", str(config), "gapped") == BOTH

    def test_a_local_version_and_an_unnormalized_name(self, site: Site, tmp_path: Path) -> None:
        words = ("--no-config", "--default-index", site.index("simple"), "Odd_Name==1.0+local.1")
        assert installed(tmp_path / "t", UV, *words) == {"odd_name-1.0+local.1"}

    @pytest.mark.parametrize("view", ["whole", "whole-json"])
    def test_a_cut_off_date(self, site: Site, tmp_path: Path, view: str) -> None:
        words = ("--no-config", "--default-index", site.index(view), "--exclude-newer")
        assert attempt(tmp_path / "a", UV, *words, "2026-01-01T00:00:00Z", "plain").exit_code != 0
        assert installed(tmp_path / "b", UV, *words, "2026-01-03T00:00:00Z", "plain") == {"plain-1.0"}


@pytest.mark.parametrize(
    "argv", [(*PIP, "--index-url"), (*UV, "--no-config", "--default-index")], ids=["pip", "uv"]
)
class TestRefusal:
    def test_bytes_that_are_not_what_the_page_says(self, tmp_path: Path, argv: tuple[str, ...]) -> None:
        store = DirectoryStore(tmp_path / "store")
        change = wheel_change(tmp_path, "foo")
        publish(store, CHANNEL, [change], run="", now=NOW)
        wheel = next(store.path.glob("files/*/*.whl"))
        wheel.write_bytes(make_wheel(tmp_path / "other", "foo", body="other = True").read_bytes())
        with serving(store.path) as server:
            done = attempt(tmp_path / "t", argv, f"{server.url}channels/{CHANNEL}/simple/", "foo")
        assert not done.ok and "hash" in (done.stdout + done.stderr).lower(), done

    def test_metadata_that_is_not_what_the_page_says(self, tmp_path: Path, argv: tuple[str, ...]) -> None:
        store = DirectoryStore(tmp_path / "store")
        publish(store, CHANNEL, [wheel_change(tmp_path, "foo")], run="", now=NOW)
        metadata = next(store.path.glob("files/*/*.metadata"))
        metadata.write_bytes(metadata.read_bytes() + b"Requires-Dist: other\n")
        with serving(store.path) as server:
            done = attempt(tmp_path / "t", argv, f"{server.url}channels/{CHANNEL}/simple/", "foo")
        assert not done.ok and "hash" in (done.stdout + done.stderr).lower(), done

    def test_a_yanked_file_is_passed_over(self, tmp_path: Path, argv: tuple[str, ...]) -> None:
        store = DirectoryStore(tmp_path / "store")
        theirs = upstream_file("foo-2.0-py3-none-any.whl", yanked="")
        upstream = Change(project=canonicalize_name("foo"), upstream=(theirs,))
        publish(store, CHANNEL, [wheel_change(tmp_path, "foo"), upstream], run="", now=NOW)
        with serving(store.path) as server:
            index = f"{server.url}channels/{CHANNEL}/whole/"
            assert installed(tmp_path / "t", argv, index, "foo") == {"foo-1.0"}


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A static host that knows nothing of Python: types by ending, index.html for a folder."""

    url: str
    paths: list[str]


@contextmanager
def plain_host(root: Path) -> Iterator[Plain]:
    paths: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            paths.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield Plain(url=f"http://127.0.0.1:{server.server_address[1]}/", paths=paths)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def pip_23_2(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The pip that the distributions of 2023 have, run from its wheel."""
    folder = tmp_path_factory.mktemp("pip")
    fetch = (sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), "pip==23.2")
    done = run(fetch, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"}, network=True, timeout=60)
    wheels = list(folder.glob("pip-23.2-*.whl"))
    if not done.ok or not wheels:
        pytest.skip("pip 23.2 cannot be fetched here")
    return (sys.executable, str(wheels[0] / "pip"), "install", "--no-cache-dir", "--progress-bar=off")
