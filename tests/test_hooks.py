"""Both hooks in one process where the backend asks for nothing new, in two where only the host may go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdists import FileIndex, Workplace, in_tree
from tinywheel import make_wheel

from wheelbuilder.build.hooks import GOES_ON, divide

BEFORE = """

print("the backend is imported")


def get_requires_for_build_wheel(config_settings=None):
    print("it is asked")
    {asked}
"""
BODY = 'print("it builds")\nassert "LEFT" not in os.environ\nreturn pure(folder)'
FAILS = 'print("error: the flux is out")\nsys.exit(1)'
ANSWERS = {
    "nothing": "os.environ['LEFT'] = 'behind'; return []",
    "there": 'return ["late", "Late>=1; os_name == \'posix\'", "never; os_name == \'nt\'", "late[more]"]',
    "settings": 'return [] if config_settings == {} else ["nowhere"]',
}
ALONE = {
    "other": 'return ["later"]',
    "newer": 'return ["late>=1", "later"]',
    "extra": 'return ["late[further]"]',
    "rewritten": 'open("pyproject.toml", "a").write("\\n"); return []',
}
FAILED = {
    "exits": "sys.exit(7)",
    "raises": 'raise RuntimeError("no idea")',
    "killed": "os.kill(os.getpid(), 9)",
    "silent": "os._exit(0)",
    "odd": "return None",
    "numbers": "return [1]",
    "no_requirement": 'return ["?"]',
    "network": 'import socket\n    try: socket.create_connection(("192.0.2.1", 80), 2)\n'
    "    except OSError: return []",
    "link": "import atexit; atexit.register(lambda: (os.remove('/build/asked/output.json'), "
    "os.symlink('/etc/passwd', '/build/asked/output.json'))); return []",
}
BROKEN = {
    "no_import": "import nowhere",
    "exits_early": "sys.exit(3)",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, dict[str, Any]]]:
    with FileIndex() as index:
        work = Workplace(folder=tmp_path_factory.mktemp("hooks"), index=index)
        made = [
            in_tree(name, BODY, requires=["late"], before=BEFORE.format(asked=asked))
            for name, asked in (ANSWERS | ALONE | FAILED).items()
        ]
        made += [in_tree(name, BODY, before=f"\n\n{text}\n") for name, text in BROKEN.items()]
        made += [
            in_tree("plain", BODY, before='\n\nprint("the backend is imported")\n'),
            in_tree("fails", FAILS, before=BEFORE.format(asked="return []")),
        ]
        index.offer(*made)
        folder = tmp_path_factory.mktemp("wheels")
        index.offer_wheel(make_wheel(folder, "late", requires=("later; extra == 'further'",)))
        index.offer_wheel(make_wheel(folder, "later"))
        work.write(made)
        yield work, work.run().outcomes


Finished = tuple[Workplace, dict[str, Any]]
pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", [*ANSWERS, "plain"])
def test_what_is_there_is_built_by_the_process_that_asked(finished: Finished, name: str) -> None:
    work, outcomes = finished
    row = outcomes[name]
    assert row["outcome"] == "built", f"{row}"
    asking, building = work.log(row, "requirements"), work.log(row, "build")
    assert asking.count("the backend is imported") == 1 and asking.endswith(GOES_ON.decode())
    assert "it builds" not in asking and building == "it builds\n"
    assert ("it is asked" in asking) == (name != "plain")


@pytest.mark.parametrize("name", ALONE)
def test_what_only_the_host_can_judge_is_built_by_another_process(finished: Finished, name: str) -> None:
    work, outcomes = finished
    row = outcomes[name]
    assert row["outcome"] == "built", f"{row}"
    assert work.log(row, "requirements") == "the backend is imported\nit is asked\n"
    assert work.log(row, "build") == "the backend is imported\nit builds\n"


@pytest.mark.parametrize(
    ("name", "failure", "words"),
    [
        ("exits", "backend", "exit status 7"),
        ("raises", "backend", "failed: RuntimeError: no idea"),
        ("killed", "backend", "exit status 137"),
        ("silent", "backend", "left no answer"),
        ("odd", "backend", "returned None"),
        ("numbers", "backend", "no strings"),
        ("no_requirement", "requirements", "no requirement"),
        ("network", "network-attempt", "asking for build requirements"),
        ("link", "backend", "something other than a file"),
        ("no-import", "backend", "Cannot import"),
        ("exits-early", "backend", "exit status 3"),
    ],
)
def test_what_fails_while_it_asks_has_built_nothing(
    finished: Finished, name: str, failure: str, words: str
) -> None:
    work, outcomes = finished
    row = outcomes[name.replace("_", "-")]
    assert (row["class"], row["step"]) == (failure, "requirements") and words in row["summary"], row
    assert "it builds" not in work.log(row, "requirements")
    assert row["steps"][-1]["step"] == "requirements"


def test_what_fails_while_it_builds_has_asked_before(finished: Finished) -> None:
    work, outcomes = finished
    row = outcomes["fails"]
    assert (row["class"], row["step"], row["lines"]) == ("backend", "build", ["error: the flux is out"])
    assert [step["ok"] for step in row["steps"]][-2:] == [True, False]
    assert work.log(row, "build").startswith("error: the flux is out\n")


def test_a_log_is_divided_once(tmp_path: Path) -> None:
    log, after = tmp_path / "log", tmp_path / "after"
    log.write_bytes(b"a\n" + GOES_ON + b"b\n" + GOES_ON)
    divide(log, after)
    assert (log.read_bytes(), after.read_bytes()) == (b"a\n" + GOES_ON, b"b\n" + GOES_ON)
    divide(after, tmp_path / "none")
    assert after.read_bytes() == b"b\n" + GOES_ON
    log.write_bytes(b"nothing of the kind")
    divide(log, tmp_path / "none")
    assert log.read_bytes() == b"nothing of the kind" and not (tmp_path / "none").stat().st_size
