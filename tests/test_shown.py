"""What a store, an index, a wheel or an address says reaches the terminal as text, without its secrets."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest
from commands import command
from mirrors import NOW, wheel_change
from rich.table import Table
from rich.text import Text
from sdists import cli

from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.process import ProcessError, check
from wheelbuilder.cli.console import Screen
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.channels import Reference, promote
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.report.records import _kept
from wheelbuilder.shown import visible, without_secrets

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\r\n\x9b1m\udcff"
SEEN = r"\x1b]0;owned\x07\x1b[2J\u202e\r\n\x9b1m\udcff"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, ümläut, 数", "plain, ümläut, 数"),
        ("a\tb", "a\tb"),
        (EVIL, SEEN),
        ("\u200b\u2028\x00\x7f\U000e0001", r"\u200b\u2028\x00\x7f\U000e0001"),
        (r"\x1b", r"\x1b"),
    ],
)
def test_what_a_terminal_would_obey_is_visible(text: str, seen: str) -> None:
    assert visible(text) == seen == visible(seen)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("'s3://KEY:se/cr+et@b/p' is", "'s3://***@b/p' is"),
        ("S3://KEY:se@cret@b", "S3://***@b"),
        ("https://me:secret@h:80/a@b https://token@h", "https://***@h:80/a@b https://***@h"),
        ("ssh://me:secret@h", "ssh://***@h"),
        ("https://h/x?h=stable&private_token=secret", "https://h/x?h=stable&private_token=***"),
        ("s3://b?index=index.html&aws_secret=secret#x", "s3://b?index=index.html&aws_secret=***#x"),
        ("https://h:80/a@b", "https://h:80/a@b"),
        ("s3://b/p stable@4, me@example.org", "s3://b/p stable@4, me@example.org"),
        ("git+ssh://git@h/x", "git+ssh://git@h/x"),
    ],
)
def test_secrets_in_addresses_are_not_shown(text: str, seen: str) -> None:
    assert without_secrets(text) == seen == without_secrets(seen)


class TestScreen:
    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
        """A store in which everything that may be foreign is hostile."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        made = DirectoryStore(tmp_path / "store")
        author = Author(run=EVIL, now=NOW, note=EVIL)
        publish(made, "stable", [wheel_change(tmp_path)], run=EVIL, now=NOW, note=EVIL)
        promote(made, Reference(channel="stable"), "candidate", author)
        (made.path / "files/\u202ex\x9b").write_bytes(b"")
        return made

    def test_tables_and_lines(self, store: DirectoryStore) -> None:
        for words in (
            ("channel", "list", "--store", store.path),
            ("channel", "show", "stable", "--store", store.path),
            ("audit", store.path),
            ("sync", store.path, store.path.parent / "copy", "--dry-run"),
        ):
            ended = command(*words)
            assert ended.code == 0
            printed = ended.out + ended.err
            assert all(line.isprintable() for line in printed.splitlines()), words
            assert r"\x1b]0;owned" in printed or r"\u202ex\x9b" in printed, words

    @pytest.mark.parametrize(
        "words",
        [
            (EVIL,),
            ("channel", "show", EVIL, "--store", "s"),
            ("audit", f"/nowhere/{EVIL}"),
            ("yank", f"{EVIL}==1", "--reason", "x", "--store", "s"),
            ("yank", "a==1", "--reason", EVIL, "--store", "s"),
            ("config", "pip", f"https://{EVIL}"),
            ("config", EVIL, "https://example.org"),
            ("import", f"{EVIL}.whl", "--channel", "c", "--store", "s", "--no-upstream"),
            ("serve", f"/nowhere/{EVIL}"),
            ("plan", f"/nowhere/{EVIL}.toml"),
        ],
    )
    def test_errors(self, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "s").mkdir()
        ended = command(*words)
        assert ended.code in (2, 4) and r"\x1b" in ended.err
        assert all(line.isprintable() for line in ended.err.splitlines()), ended.err

    def test_consoles(self) -> None:
        console = Screen()
        with console.capture() as captured:
            console.print(Text(EVIL.replace("\n", "")))
            console.print(f"[bold]{EVIL}", soft_wrap=True)
        assert all(line.isprintable() for line in captured.get().splitlines())
        assert r"\x1b[2J" in captured.get() and "[bold]" in captured.get()

    def test_a_cell_of_several_lines(self) -> None:
        console, table = Screen(), Table("two\nlines")
        table.add_row("one\ntwo")
        with console.capture() as captured:
            console.print(table)
        words = captured.get().split()
        assert [word for word in words if word.isascii()] == ["two", "lines", "one", "two"]

    def test_a_screen_without_the_letters_of_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
        (tmp_path / "数").mkdir()
        ended = cli("channel", "list", "--store", str(tmp_path / "数"))
        assert ended.code == 0 and r"\u6570 has no channels" in ended.stdout


SECRETS = ("AKIAKEY", "se/cr+et", "me:", "hush")
BUCKET = "s3://AKIAKEY:se/cr+et@bucket/prefix"
INDEX = "http://me:hush@127.0.0.1:9/simple/"


@pytest.mark.parametrize(
    "words",
    [
        ("audit", BUCKET),
        ("channel", "list", "--store", BUCKET),
        ("sync", BUCKET, "x"),
        ("sync", "x", BUCKET),
        ("doctor", "--quick", "--json", "--store", BUCKET),
        ("serve", BUCKET),
        ("config", "pip", "https://me:hush@example.org/channels/x"),
        ("config", "pip", "https://me:hush@example.org/ x"),
        ("config", "uv", "https://me:hush@example.org/x"),
        ("import", "x.whl", "--channel", "c", "--store", "s", "--upstream", "ftp://me:hush@example.org"),
        ("import", "WHEEL", "--channel", "c", "--store", "s", "--upstream", INDEX),
    ],
)
def test_no_command_tells_a_secret(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheel = wheel_change(tmp_path / "made").wheels[0].path
    ended = command(*(str(wheel) if word == "WHEEL" else word for word in words))
    assert ended.code != 70 and ended.code != 0
    assert not [secret for secret in SECRETS if secret in ended.out + ended.err], ended.err


def test_what_records_hold_has_no_secret_either(tmp_path: Path) -> None:
    error = StepFailedError(FailureClass.REQUIREMENTS, f"uv: {INDEX}x", f"see {INDEX}", (INDEX,))
    assert "hush" not in f"{error.summary}{error.hint}{error.lines}{error.args}"
    with pytest.raises(ProcessError) as caught:
        check((sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", INDEX))
    assert "hush" not in f"{caught.value.message}{caught.value.hint}{caught.value.args}"
    (tmp_path / "log").write_bytes(f"Get:1 {INDEX} x".encode() + b"\xff\x00\n")
    kept = gzip.decompress(_kept(tmp_path / "log").data)
    assert kept == b"Get:1 http://***@127.0.0.1:9/simple/ x\xff\x00\n"
