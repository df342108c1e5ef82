from __future__ import annotations

from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from samples import ARM, X86, pin
from simple_index import Answer, SimpleIndex

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.list_lint import lint
from wheelbuilder.inputs.lists import RequirementsList, read_list

ROOT = Path(__file__).parent.parent
HEAD = 'targets = ["cp311-manylinux_2_36_x86_64"]\n'


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.read(default_path())


def read(folder: Path, catalogue: Catalogue, text: str) -> RequirementsList:
    (folder / "pins.txt").write_text("six===1.17.0\nPyYAML===6.0.3\n")
    (folder / "bounds.txt").write_text("wheel<1\n\n-r more.txt\n")
    (folder / "small.toml").write_text(("" if text.startswith("targets") else HEAD) + text)
    return read_list(folder / "small.toml", catalogue)


def test_defaults(tmp_path: Path, catalogue: Catalogue) -> None:
    listed = read(tmp_path, catalogue, 'branches.main = "pins.txt"\n')
    assert (listed.name, listed.channel, listed.upstream) == ("small", "small", PYPI_SIMPLE_ENDPOINT)
    assert listed.targets == (X86,)
    assert listed.targets[0].full_version == "3.11.2"
    assert [str(pin) for pin in listed.branches[0].pins] == ["six===1.17.0", "pyyaml===6.0.3"]
    assert str(listed.branches[0].pins[0].origin) == f"{tmp_path / 'pins.txt'}:1"
    assert (listed.build_constraints, listed.only) == ((), None)


def test_everything(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "six.toml").write_text('imports = ["six"]\nlimits.memory = "1G"\n')
    (tmp_path / "build.txt").write_text("# why\nwheel<1  # comment\n\n")
    (tmp_path / "none.txt").write_text("# none\n")
    listed = read(
        tmp_path,
        catalogue,
        """
name = "all"
channel = "stable"
upstream = "https://index.example.org/simple"
pins = ["pyyaml"]
recipes = "own"
build-constraints = ["setuptools<80"]
build-constraints-file = "build.txt"
limits = { timeout = "20m", memory = "4G", jobs = 2 }
[branches]
main = "pins.txt"
empty = { path = "none.txt", allow-empty = true }
""",
    )
    assert (listed.name, listed.channel, listed.only) == ("all", "stable", frozenset({"pyyaml"}))
    assert listed.upstream == "https://index.example.org/simple"
    assert listed.build_constraints == ("setuptools<80", "wheel<1")
    assert [branch.branch for branch in listed.branches] == ["main", "empty"]
    recipe = listed.recipes.for_pin(pin("six===1.17.0"))
    assert (recipe.limits.timeout, recipe.limits.memory, recipe.limits.jobs) == (1200.0, 2**30, 2)


def test_a_branch_from_a_url(tmp_path: Path, catalogue: Catalogue) -> None:
    with SimpleIndex() as server:
        server.serve("pins", Answer(body=b"six===1.17.0\n", content_type="text/plain"))
        listed = read(tmp_path, catalogue, f'branches.main = "{server.url}pins/"\n')
        assert str(listed.branches[0].pins[0].origin) == f"{server.url}pins/:1"
        with pytest.raises(
            UnreachableError, match=f"{server.url}none/ cannot be read: .* answers 404 Not Found"
        ):
            read(tmp_path, catalogue, f'branches.main = "{server.url}none/"\n')


def test_a_copy_that_is_kept_is_read_and_the_url_is_not_asked(tmp_path: Path, catalogue: Catalogue) -> None:
    text = """
[branches]
"stable/one" = "{url}one/"
two = {{ url = "{url}two/", path = "copies/two.txt" }}
"""
    with SimpleIndex() as server:
        for name in ("one", "two"):
            server.serve(name, Answer(body=f"{name}===1\n".encode(), content_type="text/plain"))
        first = read(tmp_path, catalogue, text.format(url=server.url))
        assert [pin.origin.file for branch in first.branches for pin in branch.pins] == [
            f"{server.url}one/",
            f"{server.url}two/",
        ]
        for copy in ("small/stable-one.txt", "copies/two.txt"):
            (tmp_path / copy).parent.mkdir()
            (tmp_path / copy).write_text("kept===1\n")
        second = read(tmp_path, catalogue, text.format(url=server.url))
        assert [str(pin) for branch in second.branches for pin in branch.pins] == ["kept===1"] * 2
        assert second.branches[0].file == str(tmp_path / "small/stable-one.txt")
        assert len(server.requests) == 2


def test_requirement_files_of_a_closure(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "app.txt").write_text("-r more.txt\nsix>=1\n-e .\n")
    (tmp_path / "more.txt").write_text("pyyaml\n")
    with SimpleIndex() as server:
        server.serve("far", Answer(body=b"six\n", content_type="text/plain"))
        files = f'["app.txt", "{server.url}far/"]'
        text = f'mode = "closure"\nbranches.main = {{ path = "pins.txt", requirements = {files} }}\n'
        listed = read(tmp_path, catalogue, text)
    assert listed.mode is Mode.CLOSURE
    assert [str(demand) for demand in listed.demands["main"].wanted] == [
        f"{tmp_path}/more.txt:1: 'pyyaml'",
        f"{tmp_path}/app.txt:2: 'six>=1'",
        f"{server.url}far/:1: 'six'",
    ]
    assert [bad.words for bad in listed.demands["main"].refused] == ["-e ."]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'branches' names no constraints file"),
        (
            'branches.main = "none.txt"',
            r"branches\.main: 'path' = .*none\.txt cannot be read: there is no such",
        ),
        ("branches.main = 3", "branches: 'main' must be a path, a URL or a table"),
        (
            'branches.main = { path = "pins.txt", url = "x" }',
            r"branches\.main: 'url' = 'x' is not an address",
        ),
        (
            (
                'branches.a = { url = "https://example.org/a", path = "x" }\n'
                'branches.b = { url = "https://example.org/b", path = "x" }'
            ),
            "branches.b: 'path' = .*/x would be the copy of two URLs",
        ),
        (
            'branches.main = { path = "pins.txt", requirements = ["none.txt"] }\nmode = "closure"',
            r"branches\.main\.requirements\.0: 'path' = .*none\.txt cannot be read: there is no such file",
        ),
        (
            'branches.main = { path = "pins.txt", requirements = ["none.txt"] }',
            "'mode' is 'pins', and the branch main names requirements",
        ),
        ('mode = "closure"\nbranches.main = "pins.txt"', "'mode' is 'closure', and the branch main names no"),
        ('mode = "all"\nbranches.main = "pins.txt"', "'mode' = 'all' must be one of pins, closure"),
        ("branches.main = {}", r"branches\.main: a file has a 'path', a 'url', or both"),
        ('branches.main = { paht = "pins.txt" }', "the key 'paht' is not known"),
        ('branches.main = "pins.txt"\nchannel = "Big One"', "'channel' = 'Big One' must be lower-case"),
        ('branches.main = "pins.txt"\nchanel = "x"', "the key 'chanel' is not known"),
        ('branches.main = "pins.txt"\nbuild-constraints = ["<"]', r"'build-constraints\[0\]' = '<'"),
        ('branches.main = "pins.txt"\nrecipes = "none"', "'recipes' names .*none, which is no folder"),
        ('branches.main = "pins.txt"\npins = ["sixx"]', "'pins' names sixx, which no branch pins"),
        ('branches.main = "pins.txt"\nlimits.jobs = true', "limits: 'jobs' must be a whole number"),
        ('branches.main = "ftp://x"', "branches: 'main' = 'ftp://x' is not the path of a file"),
        ('branches.main = "http://"', "branches: 'main' = 'http://' is not the path of a file"),
        ('branches.main = ""', "branches: 'main' = '' is not the path of a file"),
        (
            'branches.main = { path = "https://example.org/c.txt" }',
            r"branches\.main: 'path' = 'https://example\.org/c\.txt' is not the path of a file",
        ),
        (
            'branches.main = { path = "pins.txt", requirements = ["s3://b/x"] }\nmode = "closure"',
            r"branches\.main\.requirements: '0' = 's3://b/x' is not the path of a file",
        ),
        ('branches."" = "pins.txt"', "branches: '' is no name for a branch"),
        ('branches."a b" = "pins.txt"', "branches: 'a b' is no name for a branch"),
        ('branches."a@b" = "pins.txt"', "branches: 'a@b' is no name for a branch"),
        ('branches."../x" = "pins.txt"', r"branches: '\.\./x' is no name for a branch"),
        ('branches.main = "pins.txt"\npins = ["six==1.0"]', "'pins': 'six==1.0' is no project's name"),
        ('branches.main = "pins.txt"\nupstream = ""', "'upstream' = '' is not an address"),
        ('branches.main = "pins.txt"\nunpinned = [""]', "'unpinned': '' is no project's name"),
        (
            'branches.main = "pins.txt"\nbuild-constraints-file = "https://example.org/b.txt"',
            "'build-constraints-file' = 'https://example.org/b.txt' is not the path of a file",
        ),
        (
            'branches.main = "pins.txt"\nbuild-constraints-file = "bounds.txt"',
            r"bounds\.txt:3: '-r more\.txt' is not a requirement",
        ),
        (
            'branches.main = "pins.txt"\nbuild-constraints = ["x @ https://example.org/x.whl"]',
            r"'build-constraints\[0\]' = 'x @ https://example\.org/x\.whl' names a URL",
        ),
        ('branches.main = "pins.txt"\nbuild-constraints = ["x[y]<2"]', "has extras, which a constraint"),
        ('mode = "closur"\nbranches.main = "pins.txt"', "must be one of pins, closure"),
    ],
)
def test_a_mistake_names_file_and_key(
    tmp_path: Path, catalogue: Catalogue, text: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        read(tmp_path, catalogue, text)
    assert str(tmp_path) in error.value.message


def test_an_unknown_target_names_those_there_are(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "list.toml"
    path.write_text('targets = ["cp311-manylinux_2_1_x86_64"]\nbranches.main = "x"\n')
    with pytest.raises(ConfigurationError, match="serves the target 'cp311-manylinux_2_1_x86_64'") as error:
        read_list(path, catalogue)
    assert error.value.hint.startswith("Did you mean 'cp31")
    assert (
        error.value.hint.count("cp3") == 3 and "`wheelbuilder images targets` lists all" in error.value.hint
    )


def test_branches_may_be_called_as_git_calls_them_and_what_is_said_twice_is_told(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    listed = read(
        tmp_path,
        catalogue,
        f'targets = ["{X86}", "{X86}"]\npins = ["PyYAML", "six", "pyyaml"]\n'
        'build-constraints = ["x<2", "x<2"]\nbranches."stable/2025.2" = "pins.txt"\n',
    )
    assert [branch.branch for branch in listed.branches] == ["stable/2025.2"]
    assert [oddity.partition(": ")[2] for oddity in listed.warnings] == [
        f"'targets' names {X86} 2 times.",
        "'pins' names pyyaml 2 times.",
        "'build-constraints' names x<2 2 times.",
    ]
    assert [found.code for found in lint(listed)].count("repeated") == 3


def test_the_demo_list(catalogue: Catalogue) -> None:
    listed = read_list(ROOT / "requirements-lists" / "demo.toml", catalogue, strict=True)
    assert (listed.channel, listed.targets) == ("demo", (X86, ARM))
    pins = {pin.name: str(pin) for pin in listed.branches[0].pins}
    for text in ("netifaces===0.11.0", "python-ldap===3.4.7", "jsonpath-rw===1.4.0", "pyyaml===6.0.3"):
        assert text in pins.values()
    assert "libldap-dev" in listed.recipes.for_pin(pin("python-ldap===3.4.7")).deb
