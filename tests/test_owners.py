from __future__ import annotations

import os
import subprocess
import sys

from wheelbuilder.build.owners import is_alive, our_mark


def test_we_are_alive() -> None:
    assert is_alive(our_mark())


def test_a_pid_that_was_given_out_again_is_another_process() -> None:
    assert not is_alive(f"{os.getpid()}-1")


def test_an_ended_process_is_not_alive_even_before_it_is_waited_for() -> None:
    program = "from wheelbuilder.build.owners import our_mark; print(our_mark())"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        mark = child.stdout.read().strip()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert mark.startswith(f"{child.pid}-") and not is_alive(mark)


def test_words_that_are_no_mark_count_as_dead() -> None:
    assert not any(is_alive(text) for text in ("", "-", "1", "x-1", f"{os.getpid()}-", "99999999-1"))
