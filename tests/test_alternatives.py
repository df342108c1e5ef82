from __future__ import annotations

from pathlib import Path

from wheelbuilder.build.alternatives import Alternative, alternatives, make_links

GCC = """#! /bin/sh
update-alternatives --quiet \\
    --install /usr/bin/cc cc /usr/bin/gcc 20 \\
    #--slave /usr/share/man/man1/cc.1.gz cc.1.gz /usr/share/man/man1/gcc.1.gz
update-alternatives --quiet \\
    --install /usr/bin/c89 c89 /usr/bin/c89-gcc 20 \\
    --slave /usr/share/man/man1/c89.1.gz c89.1.gz /usr/share/man/man1/c89-gcc.1.gz
"""
MAWK = """
if [ "$1" = configure ]; then
        update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\
            --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz \\
            --slave /usr/bin/nawk nawk /usr/bin/mawk
fi
"""


def test_calls_are_read_with_continued_lines_comments_and_slaves() -> None:
    found = {offer.link: offer.path for offer in alternatives([GCC, MAWK])}
    assert found == {
        "/usr/bin/cc": "/usr/bin/gcc",
        "/usr/bin/c89": "/usr/bin/c89-gcc",
        "/usr/bin/awk": "/usr/bin/mawk",
        "/usr/bin/nawk": "/usr/bin/mawk",
    }


def test_the_highest_priority_wins_whatever_the_order() -> None:
    gawk = "update-alternatives --install /usr/bin/awk awk /usr/bin/gawk 10"
    for scripts in ([MAWK, gawk], [gawk, MAWK]):
        assert next(o.path for o in alternatives(scripts) if o.link == "/usr/bin/awk") == "/usr/bin/gawk"


def test_calls_that_only_a_shell_understands_are_left_out() -> None:
    scripts = [
        "update-alternatives --install $link name /usr/bin/x 1",
        "update-alternatives --install /usr/bin/x x $(which y) 1",
        "update-alternatives --install '/usr/bin/x x /usr/bin/y 1",
        "update-alternatives --install /usr/bin/x",
        "update-alternatives --remove x /usr/bin/y",
    ]
    assert alternatives(scripts) == ()


def test_links_are_relative_and_stay_inside_a_merged_usr(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/bin/cpp").write_text("cpp")
    make_links(tmp_path, [Alternative(link="/lib/cpp", path="/usr/bin/cpp", priority=1)])
    assert (tmp_path / "lib/cpp").read_text() == "cpp"
    assert str((tmp_path / "lib/cpp").readlink()) == "../bin/cpp"


def test_what_is_there_stays_and_what_leads_nowhere_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("own")
    (tmp_path / "b").write_text("other")
    make_links(
        tmp_path,
        [Alternative(link="/a", path="/b", priority=1), Alternative(link="/c", path="/missing", priority=1)],
    )
    assert (tmp_path / "a").read_text() == "own" and not (tmp_path / "c").is_symlink()


def test_links_lead_somewhere_below_a_root_that_is_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk/deep/tree/usr/bin").mkdir(parents=True)
    (tmp_path / "disk/deep/tree/usr/bin/gcc").write_text("gcc")
    (tmp_path / "root").symlink_to("disk/deep/tree")
    make_links(tmp_path / "root", [Alternative(link="/usr/bin/cc", path="/usr/bin/gcc", priority=1)])
    assert str((tmp_path / "root/usr/bin/cc").readlink()) == "gcc"
