"""A list with bad members of every kind and good ones: the bad leave their records and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engines import containers_of
from sdists import EXTENSION, Ended, FileIndex, Sdist, Workplace, extension, in_tree, sdist, with_setuptools
from simple_index import Answer
from test_wheelcheck import wheel
from tinywheel import make_wheel

from wheelbuilder.build import failures
from wheelbuilder.build.cache import cache_home

pytestmark = pytest.mark.engine

REACH_OUT = """
import socket
for attempt in (
    lambda: socket.create_connection(("192.0.2.1", 80), 2),
    lambda: socket.getaddrinfo("index.example.org", 443),
    lambda: open("/etc/planted", "w"),
    lambda: open("/build/planted", "w"),
    lambda: open("/build/env/planted", "w"),
):
    try:
        attempt()
    except OSError:
        pass
return pure(folder)
"""
SILENTLY_PURE = """
try:
    native(folder, "optional.c", "-DBROKEN")
except subprocess.CalledProcessError:
    pass
return pure(folder)
"""
ASK = "\n\ndef get_requires_for_build_wheel(config_settings=None):\n"
BAD = {
    "bytes": in_tree("bytes"),
    "exits": in_tree("exits", 'print("error: the flux is out of line")\nsys.exit(1)'),
    "hangs": in_tree("hangs", "import time\ntime.sleep(600)"),
    "other_version": in_tree("other_version", 'return pure(folder, version="2.0")'),
    "silent": in_tree("silent", SILENTLY_PURE, files={"optional.c": "#error no\n"}),
    "reaches_out": in_tree("reaches_out", REACH_OUT),
    # and further ones
    "two_wheels": in_tree("two_wheels", 'pure(folder, version="1.1")\nreturn pure(folder)'),
    "no_wheel": in_tree("no_wheel", f'return "no_wheel-1.0-py3-none-any.whl"{chr(10)}'),
    "other_project": in_tree("other_project", 'return pure(folder, name="somebody")'),
    "link_out": in_tree(
        "link_out",
        'os.symlink("/etc/passwd", os.path.join(folder, f"{NAME}-{VERSION}-py3-none-any.whl"))\n'
        'return "link_out-1.0-py3-none-any.whl"',
    ),
    "odd_answer": in_tree("odd_answer", "pure(folder)"),
    "link_answer": in_tree(
        "link_answer",
        "import atexit\n"
        'atexit.register(lambda: (os.remove("/build/call/output.json"), '
        'os.symlink("/etc/passwd", "/build/call/output.json")))\n'
        "return pure(folder)",
    ),
    "pipe_answer": in_tree(
        "pipe_answer",
        'import atexit\natexit.register(lambda: (os.remove("/build/call/output.json"), '
        'os.mkfifo("/build/call/output.json")))\nreturn pure(folder)',
    ),
    "pipe_project": in_tree(
        "pipe_project",
        before=ASK + '    os.remove("pyproject.toml")\n    os.mkfifo("pyproject.toml")\n    return []\n',
    ),
    "floods": in_tree(
        "floods", 'for _ in range(200):\n    sys.stdout.write(("x" * 1023 + "\\n") * 1024)\nsys.exit(3)'
    ),
    "forks": in_tree("forks", "import time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(60)"),
    "hoards": in_tree("hoards", 'kept = []\nwhile True:\n    kept.append(bytearray(b"x") * (16 << 20))'),
    "no_import": in_tree(
        "no_import", 'return pack(folder, {"no_import.py": b"raise RuntimeError(\'not on this machine\')"})'
    ),
    "exits_on_import": in_tree(
        "exits_on_import", 'return pack(folder, {"exits_on_import.py": b"import os; os._exit(0)"})'
    ),
    "hides_source": in_tree(
        "hides_source", 'os.remove("hidden.c")\nreturn pure(folder)', files={"hidden.c": "#error no\n"}
    ),
    "breaks_project": in_tree(
        "breaks_project",
        before=ASK + '    open("pyproject.toml", "w").write("x = " + "[" * 5000)\n    return []\n',
    ),
    "two_machines": in_tree(
        "two_machines",
        'suffix, data = compiled("m.c")\n'
        'return pack(folder, {NAME + suffix: data}, tag="cp311-cp311-linux_x86_64.manylinux_2_17_aarch64")',
        files={"m.c": EXTENSION.format(name="two_machines")},
    ),
    "blocked_page": in_tree("blocked_page", requires=["blocked"]),
    "brings_python": in_tree("brings_python", requires=["new-python"]),
    "header": in_tree("header", "return native(folder)", files={"header.c": "#include <nowhere.h>\n"}),
    "no_package": in_tree("no_package"),
    "bad_patch": in_tree("bad_patch"),
    "url_requires": in_tree(
        "url_requires", requires=["thing @ https://example.org/thing-1.0-py3-none-any.whl"]
    ),
    "cycle_a": in_tree("cycle_a", requires=["cycle-b"]),
    "nowhere": in_tree("nowhere", requires=["there-is-no-such-thing"]),
    "no_backend": sdist(
        "no_backend", {"pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "x"\n'}
    ),
    "not_toml": sdist("not_toml", {"pyproject.toml": "[[["}),
    "two_tops": sdist("two_tops", {"../two_tops-1.1/x": "", "pyproject.toml": ""}),
}
EXPECTED = {
    "bytes": ("bad-digest", "fetch"),
    "exits": ("backend", "build"),
    "hangs": ("time-out", "build"),
    "other_version": ("wheel-check", "check"),
    "silent": ("native-lost", "check"),
    "reaches_out": ("network-attempt", "build"),
    "two_wheels": ("wheel-check", "check"),
    "no_wheel": ("wheel-check", "check"),
    "other_project": ("wheel-check", "check"),
    "link_out": ("wheel-check", "check"),
    "link_answer": ("backend", "build"),
    "odd_answer": ("backend", "build"),
    "pipe_answer": ("backend", "build"),
    "pipe_project": ("backend", "build"),
    "floods": ("backend", "build"),
    "forks": ("out-of-memory", "build"),
    "hoards": ("out-of-memory", "build"),
    "no_import": ("import-failed", "trial"),
    "exits_on_import": ("import-failed", "trial"),
    "hides_source": ("native-lost", "check"),
    "breaks_project": ("backend", "build"),
    "two_machines": ("wheel-check", "check"),
    "blocked_page": ("requirements", "requirements"),
    "brings_python": ("requirements", "requirements"),
    "header": ("missing-header", "build"),
    "no_package": ("system-packages", "root"),
    "bad_patch": ("patch", "unpack"),
    "url_requires": ("requirements", "requirements"),
    "cycle_a": ("requirements", "requirements"),
    "nowhere": ("requirements", "requirements"),
    "no_backend": ("backend", "requirements"),
    "not_toml": ("backend", "requirements"),
    "two_tops": ("unpack", "unpack"),
}
GOOD = {
    "good": extension("good"),
    "background": in_tree(
        "background", 'subprocess.Popen(["sleep", "600"], start_new_session=True)\nreturn pure(folder)'
    ),
    "reaches_out_allowed": in_tree("reaches_out_allowed", REACH_OUT),
    "optional": in_tree("optional", SILENTLY_PURE, files={"optional.c": "#error no\n"}),
    "patched": in_tree("patched", 'return pack(folder, {"patched.py": open("words.txt", "rb").read()})',
                       files={"words.txt": "WORDS = 'before'\n"}),
    "settings": in_tree(
        "settings",
        'words = repr((config_settings, os.environ["COLOUR"])).encode()\n'
        'return pack(folder, {"settings.py": b"GIVEN = " + words})',
    ),
    "needs_sdist": in_tree(
        "needs_sdist", "import only_sdist\nreturn pure(folder)", requires=["only-sdist>=1"]
    ),
    "old_style": with_setuptools("old_style", requires=""),
    "modern": with_setuptools("modern"),
    "dynamic": in_tree(
        "dynamic", "import late\nreturn pure(folder)",
        before=ASK + """    return ["late; os_name == 'posix'", "never; os_name == 'nt'"]\n""",
    ),
}  # fmt: skip
UNPINNED = (
    in_tree("only_sdist", version="1.5"),
    in_tree("cycle_b", requires=["cycle-a"]),
)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The one run that all tests here look at."""

    work: Workplace
    ended: Ended

    def of(self, name: str) -> dict[str, Any]:
        return self.ended.outcomes[name.replace("_", "-")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, setuptools_wheel: Path) -> Iterator[Finished]:
    with FileIndex() as index:
        work = Workplace(folder=tmp_path_factory.mktemp("bad"), index=index)
        offer(index, tmp_path_factory.mktemp("wheels"), setuptools_wheel)
        work.write([*BAD.values(), *GOOD.values()], 'limits = { timeout = "60s", memory = "1G" }\n')
        recipes(work)
        yield Finished(work=work, ended=work.run())


def offer(index: FileIndex, folder: Path, setuptools_wheel: Path) -> None:
    index.offer(*(made for name, made in BAD.items() if name != "bytes"), *GOOD.values(), *UNPINNED)
    index.add(BAD["bytes"].filename, BAD["bytes"].data, served=b"x" + BAD["bytes"].data[1:])
    index.offer_wheel(setuptools_wheel)
    index.offer_wheel(make_wheel(folder, "late"))
    index.offer_wheel(with_python(folder))
    index.answers("/simple/blocked/", Answer(status=403))


def with_python(folder: Path) -> Path:
    """A build requirement that wants to be the interpreter."""
    return wheel(
        folder,
        files={"new_python-1.0.data/scripts/python": b"#!python\n"},
        filename="new_python-1.0-py3-none-any.whl",
        info="new_python-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: new-python\nVersion: 1.0\n",
    )


def recipes(work: Workplace) -> None:
    work.recipe("hangs", 'limits.timeout = "3s"\n')
    work.recipe("hoards", 'limits.memory = "128M"\n')
    work.recipe("no-package", 'system-packages.deb = ["there-is-no-such-package"]\n')
    work.recipe("optional", 'native = "optional"\n')
    work.recipe("reaches-out-allowed", "allow-network-attempt = true\n")
    work.recipe(
        "settings", 'environment.COLOUR = "red"\nconfig-settings = { one = "1", many = ["a", "b"] }\n'
    )
    patch = "--- a/words.txt\n+++ b/words.txt\n@@ -1 +1 @@\n-WORDS = 'before'\n+WORDS = 'after'\n"
    row = '[[patches]]\nfile = "{}.patch"\nstatus = "not submitted: a test"\n'
    work.recipe("patched", row.format("patched"), patched__patch=patch)
    work.recipe("bad-patch", row.format("bad-patch"))
    (work.folder / "recipes" / "bad-patch.patch").write_text(patch)


def test_the_exit_code_says_that_some_failed(finished: Finished) -> None:
    assert finished.ended.code == 1
    kinds = {name: row["outcome"] for name, row in finished.ended.outcomes.items()}
    built = {name for name, kind in kinds.items() if kind == "built"}
    assert built == {name.replace("_", "-") for name in (*GOOD, "only_sdist")}
    assert kinds["cycle-b"] == "failed"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_member_has_its_class_step_and_lines(finished: Finished, name: str) -> None:
    row = finished.of(name)
    assert (row.get("class"), row.get("step")) == EXPECTED[name], row
    assert row["summary"] and "bug in wheelbuilder" not in row["summary"]
    if name != "cycle_a":  # whose steps could not begin
        assert row["steps"][-1]["step"] == EXPECTED[name][1] and not row["steps"][-1]["ok"]
    for step in row["steps"]:
        if "log" in step:
            finished.work.log(row, step["step"])


def test_lines_and_summaries_say_what_went_wrong(finished: Finished) -> None:
    assert "error: the flux is out of line" in finished.of("exits")["lines"]
    assert "the flux" in finished.work.log(finished.of("exits"), "build")
    assert "longer than 3 s" in finished.of("hangs")["summary"]
    assert "2.0" in finished.of("other_version")["summary"]
    assert "optional.c" in finished.of("silent")["summary"]
    assert "#error no" in finished.work.log(finished.of("silent"), "build")
    assert "2 wheels" in finished.of("two_wheels")["summary"]
    assert "no wheel" in finished.of("no_wheel")["summary"]
    assert "another project" in finished.of("other_project")["summary"]
    assert "nowhere.h" in finished.of("header")["summary"]
    assert "128 MiB" in finished.of("hoards")["summary"]
    assert "not on this machine" in finished.of("no_import")["summary"]
    assert "there-is-no-such-package" in finished.of("no_package")["summary"]
    assert "cycle-a==1.0 -> cycle-b==1.0 -> cycle-a==1.0" in finished.of("cycle_a")["summary"]
    assert "direct URL" in finished.of("url_requires")["summary"]
    assert "there-is-no-such-thing" in finished.of("nowhere")["summary"]
    assert "Cannot import 'x'" in finished.of("no_backend")["summary"]
    assert "returned None" in finished.of("odd_answer")["summary"]
    assert "passwd" not in str(finished.of("link_answer")["lines"])


def test_want_of_memory_is_met_with_half_of_the_compilers_and_both_attempts_are_told(
    finished: Finished,
) -> None:
    row = finished.of("hoards")
    assert [it["class"] for it in row["earlier"]] == ["out-of-memory"]
    built = [step for step in row["steps"] if step["step"] == "build"]
    assert [step["attempt"] for step in built] == [1, 2] and all("log" in step for step in built)
    assert all(100 << 20 < step["peak_memory"] <= 128 << 20 for step in built)


def test_a_flood_is_kept_in_part_and_told_in_a_few_lines(finished: Finished) -> None:
    row = finished.of("floods")
    assert len(row["lines"]) <= failures.MOST_LINES
    assert len(finished.work.log(row, "build")) <= 64 << 20


def test_nothing_of_the_bad_is_in_the_store(finished: Finished) -> None:
    published = {name.split("-")[0] for name in finished.work.wheels()}
    assert published == set(GOOD)
    kept = {key.split("/")[2] for key in finished.work.kept() if key.startswith("sdists/")}
    assert kept == {made.filename for made in (*GOOD.values(), UNPINNED[0])}
    for view in ("simple", "json"):
        pages = {
            path.name for path in (finished.work.store / "channels/test" / view).iterdir() if path.is_dir()
        }
        assert pages == {name.replace("_", "-") for name in GOOD}


def test_the_store_is_clean(finished: Finished) -> None:
    audit = finished.work.audit()
    assert (audit.code, audit.stdout) == (0, "clean: 0 errors, 0 remarks\n")


def test_every_outcome_has_a_record_and_every_log_exists(finished: Finished) -> None:
    keys = set(finished.work.kept())
    for row in finished.ended.document["outcomes"]:
        assert f"records/{row['key']}.json" in keys
        assert {step["log"] for step in row["steps"] if "log" in step} <= keys


def test_nothing_was_written_outside(finished: Finished) -> None:
    log = finished.work.log(finished.of("reaches_out"), "build")
    assert not Path("/etc/planted").exists() and "planted" not in log


def test_containers_and_scratch_folders_are_gone(finished: Finished) -> None:
    assert containers_of(finished.ended.driver, "--all") == []
    assert list((cache_home() / "scratch").glob(f"{finished.ended.driver}-*")) == []


def test_coverage_gives_the_reasons(finished: Finished) -> None:
    (line,) = finished.ended.document["coverage"]
    assert f"{len(BAD)} of {len(BAD) + len(GOOD)} would be compiled" in line
    assert "hangs (building the wheel took longer than 3 s)" in line


def test_real_pip_installs_the_good(finished: Finished, tmp_path: Path) -> None:
    pages = (finished.work.store / "channels/test/simple").as_uri()
    names = [name.replace("_", "-") for name in GOOD]
    argv = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-deps", "--no-cache-dir"]
    argv += ["--disable-pip-version-check", "--only-binary", ":all:", "--target", str(tmp_path / "site")]
    done = subprocess.run([*argv, "--index-url", pages, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    program = "import good, old_style, modern, patched, settings; print(patched.WORDS, settings.GIVEN)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    ).stdout
    assert said == "after ({'one': '1', 'many': ['a', 'b']}, 'red')\n"


def test_a_build_requirement_without_a_wheel_was_built_first(finished: Finished) -> None:
    assert finished.of("needs_sdist")["build_environment"] == ["only-sdist==1.5"]
    assert "only_sdist-1.5-py3-none-any.whl" not in finished.work.wheels()
    assert finished.of("dynamic")["build_environment"] == ["late==1.0"]


def test_only_the_driver_used_the_network(finished: Finished) -> None:
    for row in finished.ended.document["outcomes"]:
        offline = {step["step"] for step in row["steps"] if not step["network"]}
        assert not {"build", "repair", "trial"} & {s["step"] for s in row["steps"]} - offline


def test_extension_source_is_what_compilers_take() -> None:
    assert "PyInit_x" in EXTENSION.format(name="x") and isinstance(GOOD["good"], Sdist)
