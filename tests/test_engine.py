from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from engines import containers_of, engine, image, root

from wheelbuilder.build import process
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.engine import KINDS, Engine
from wheelbuilder.build.owners import our_mark
from wheelbuilder.errors import ConfigurationError, InterruptedRunError, UnreachableError
from wheelbuilder.inputs.images import Role

pytestmark = pytest.mark.engine
MIB = 1 << 20
HWCAP_PACA, HWCAP_PACG = 1 << 30, 1 << 31  # asm/hwcap.h of the kernel


def python(program: str, *, timeout: float = 60, memory: int | None = None, pids: int = 256) -> ContainerExit:
    return engine().run(
        image(), ("python3", "-c", program), timeout=timeout, memory=memory, pids=pids, name="test"
    )


def running(name: str, driver: int | None = None) -> list[str]:
    """The containers of a name that this process has, or another driver."""
    engine().settle()
    return containers_of(driver or os.getpid(), "--all", "--filter", f"name=wheelbuilder-{name}")


def test_a_command_runs_and_nothing_is_left() -> None:
    done = engine().run(image(), ("sh", "-c", "echo out; echo err >&2; exit 3"), timeout=60, name="leaves")
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (3, "out\n", "err\n", False)
    assert running("leaves") == []


def test_it_is_nobody_without_capabilities_and_cannot_gain_any() -> None:
    status = python(
        "import os; print(os.getuid(), os.getgid()); print(open('/proc/self/status').read())"
    ).stdout
    assert status.startswith("1000 1000\n")
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {values[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert values["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    "path", ["/new", "/etc/new", "/usr/bin/new", "/var/tmp/new", "/run/new", "/home/new"]
)
def test_the_root_is_read_only(path: str) -> None:
    done = python(f"open({path!r}, 'w')")
    assert done.exit_code == 1 and "Read-only file system" in done.stderr


def test_tmp_is_writable_and_programs_in_it_run() -> None:
    done = engine().run(image(), ("sh", "-c", "cp /bin/true /tmp/mine && /tmp/mine && echo ran"), timeout=60)
    assert done.stdout == "ran\n"


def test_the_network_is_off_but_the_own_name_resolves() -> None:
    program = """
import os, socket
print(sorted(os.listdir("/sys/class/net")))
print({address[4][0] for address in socket.getaddrinfo(socket.gethostname(), 80)} <= {"127.0.0.1", "::1"})
try: socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error: print(error.errno)
"""
    assert python(program).stdout.splitlines() == ["['lo']", "True", "101"]


def test_the_host_is_reachable_only_when_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
        assert engine().run(image(), ("python3", "-c", program), timeout=60, network=True).ok
        assert not engine().run(image(), ("python3", "-c", program), timeout=60).ok


def test_no_environment_of_the_host_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "no_proxy", "AWS_SECRET_ACCESS_KEY", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://secret.example.org")
    done = engine().run(image(), ("env",), timeout=60, env={"GIVEN": "a=b c"}, network=True)
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert "secret" not in done.stdout and "GIVEN=a=b c" in done.stdout.splitlines()
    assert names <= {"GIVEN", "HOME", "LANG", "TERM", "PATH", "HOSTNAME", "container", "PWD"}


def test_memory_is_limited_and_a_killed_child_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image()
    monkeypatch.chdir(tmp_path)
    child = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(200 << 20)']); sys.exit(1)"
    )
    done = python(child, memory=64 * MIB)
    assert (done.exit_code, done.out_of_memory) == (1, True)
    assert done.peak_memory is not None and 60 * MIB < done.peak_memory <= 64 * MIB
    enough = python("bytearray(100 << 20)", memory=256 * MIB)
    assert enough.ok and not enough.out_of_memory
    assert enough.peak_memory is not None and enough.peak_memory > 100 * MIB
    assert list(tmp_path.iterdir()) == []


def test_processes_are_limited() -> None:
    done = python("import os, time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(60)", pids=20)
    assert done.exit_code == 1 and "BlockingIOError" in done.stderr


def test_a_time_limit_ends_the_container() -> None:
    started = time.monotonic()
    # A first process of a container ignores SIGTERM unless it asks for it.
    done = engine().run(image(), ("sleep", "300"), timeout=2, name="slow")
    assert done.timed_out and not done.ok and time.monotonic() - started < 30
    assert running("slow") == []


def running_in_a_thread(
    name: str, program: str, **options: Any
) -> tuple[threading.Thread, list[ContainerExit]]:
    """Run a program in a container that has a name and a memory limit; what came of it is appended."""
    ended: list[ContainerExit] = []

    def work() -> None:
        command = ("python3", "-c", program)
        ended.append(engine().run(image(), command, timeout=120, memory=128 * MIB, name=name, **options))

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: bool(running(name)))
    return thread, ended


@pytest.mark.parametrize(
    "program",
    ["import time; print('begun', flush=True); time.sleep(300)", "import time\nwhile 1: time.sleep(0.5)"],
)
def test_what_neither_prints_nor_computes_hangs(program: str, tmp_path: Path) -> None:
    done = engine().run(
        image(), ("python3", "-c", program), timeout=120, silence=6, memory=128 * MIB, log=tmp_path / "log"
    )
    assert done.hung and not done.ok and not done.timed_out and not done.killed and done.seconds < 60


@pytest.mark.parametrize(
    "program",
    [
        "import time\nend = time.time() + 9\nwhile time.time() < end: pass",
        "import time\nfor _ in range(9): print('.', flush=True); time.sleep(1)",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'for i in range(200_000_000): pass'])",
    ],
)
def test_what_prints_or_computes_does_not_hang(program: str, tmp_path: Path) -> None:
    done = engine().run(
        image(), ("python3", "-c", program), timeout=120, silence=4, memory=128 * MIB, log=tmp_path / "log"
    )
    assert done.ok and not done.hung


@pytest.mark.parametrize("verb", [("kill",), ("rm", "--force")])
def test_a_container_that_others_end_is_told_from_one_that_fails(verb: tuple[str, ...]) -> None:
    thread, ended = running_in_a_thread("ended", "import time; time.sleep(100)")
    engine().call(*verb, *running("ended"))
    thread.join(60)
    (done,) = ended
    assert done.killed and not done.ok and not done.out_of_memory
    assert running("ended") == []


def test_a_command_that_ends_by_a_signal_of_its_own_was_not_killed() -> None:
    done = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", memory=128 * MIB)
    assert done.exit_code == 137 and not done.killed


def test_an_engine_that_stops_working_is_the_run_s_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image()
    dead = tmp_path / engine().name
    dead.write_text("#!/bin/sh\necho 'it is gone' >&2\nexit 1\n")
    dead.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UnreachableError, match="cannot start a container: it is gone"):
        python("pass", memory=128 * MIB)
    with pytest.raises(UnreachableError, match="does not answer any more"), engine().mounted(image()):
        raise AssertionError("nothing is mounted")


def test_an_interruption_ends_the_container() -> None:
    image()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            engine().run(image(), ("sleep", "300"), timeout=250, name="interrupted")
        except InterruptedRunError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(lambda: bool(running("interrupted")))
        process.end_all()
        thread.join(60)
    finally:
        process.reset()
    assert caught and not thread.is_alive() and running("interrupted") == []


def refusing(folder: Path, word: str, message: str, status: int) -> Path:
    """An engine that refuses a sub-command the first time; returns what is there once it has."""
    image()
    real, refused = shutil.which(engine().name), folder / "refused"
    wrapper = folder / engine().name
    wrapper.write_text(
        f'#!/bin/sh\nif [ "$1" = {word} ] && mkdir {refused} 2>/dev/null; '
        f'then echo "{message}" >&2; exit {status}; fi\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    return refused


def test_a_container_that_cannot_be_removed_at_first_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As podman answers when a container ends while it is about to kill it.
    refused = refusing(tmp_path, "rm", "container not running", 2)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = engine().run(image(), ("sleep", "300"), timeout=1, name="refused")
    assert done.timed_out and refused.is_dir()
    assert running("refused") == []


def test_images_are_listed_while_another_run_removes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refusing(tmp_path, "images", "retrieving label for image: image not known", 125)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert image() in engine().images() and refused.is_dir()


def test_a_container_whose_driver_was_killed_is_reaped_and_others_are_not() -> None:
    program = (
        "from engines import engine, image; "
        "engine().run(image(), ('sleep', '300'), timeout=250, name='orphan')"
    )
    image()
    drivers = [subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent) for _ in range(2)]

    def orphans() -> list[int]:
        return [len(running("orphan", driver.pid)) for driver in drivers]

    try:
        wait_for(lambda: orphans() == [1, 1])
        drivers[0].send_signal(signal.SIGKILL)
        drivers[0].wait()
        engine().reap()
        assert orphans() == [0, 1]
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()
        engine().reap()
    assert orphans() == [0, 0]


def test_a_mount_is_read_only_unless_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "word").write_text("hello")
    mounts = (
        Mount(source=tmp_path / "in", target="/in"),
        Mount(source=tmp_path / "out", target="/out", writable=True),
    )
    script = "cat /in/word >/out/word; touch /in/more"
    done = engine().run(image(), ("sh", "-c", script), mounts=mounts, timeout=60)
    assert "Read-only file system" in done.stderr and (tmp_path / "out" / "word").read_text() == "hello"


def test_what_is_mounted_gives_nobody_more_rights(tmp_path: Path) -> None:
    with engine().mounted(image()) as root:
        shutil.copy(root / "usr/bin/id", tmp_path)
    (tmp_path / "id").chmod(0o4755)
    mounts = [Mount(source=tmp_path, target=f"/mounted{it}", writable=bool(it)) for it in (0, 1)]
    script = "/mounted1/id -u; grep ' /mounted' /proc/mounts"
    done = engine().run(image(), ("sh", "-c", script), mounts=mounts, timeout=60)
    user, *lines = done.stdout.splitlines()
    assert user == "1000" and len(lines) == len(mounts)
    options = set() if engine().name == "docker" else {"nosuid", "nodev"}
    assert all(options <= set(line.split()[3].split(",")) for line in lines)


def test_output_goes_to_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = engine().run(image(), ("sh", "-c", "echo out; echo err >&2"), timeout=60, log=log)
    assert done.stdout == "" and log.read_text() == "out\nerr\n"


def test_an_images_files_can_be_read_from_outside() -> None:
    with engine().mounted(image()) as folder:
        assert (folder / "usr/bin/python3.11").stat().st_size > MIB


def test_docker_reads_an_image_by_exporting_it() -> None:
    # The way for engines that cannot mount; any engine can export.
    with engine()._exported(image()) as folder:
        assert (folder / "usr/bin/python3.11").stat().st_size > MIB


def test_an_engine_that_cannot_start_says_so(tmp_path: Path) -> None:
    broken = Engine(name=engine().name, version="", arguments=("--runtime", "/nonexistent/runtime"))
    with pytest.raises(UnreachableError, match="cannot start a container"):
        broken.run(image(), ("true",), timeout=60)


def test_a_command_that_is_not_there_is_no_engine_failure() -> None:
    assert engine().run(image(), ("/nonexistent",), timeout=60).exit_code == 127


def test_a_foreign_root_runs() -> None:
    done = engine().run(
        image("aarch64"), ("python3", "-c", "import os; print(os.uname().machine)"), timeout=60
    )
    assert done.stdout == "aarch64\n" and done.stderr == ""


def test_an_emulated_processor_differs_from_the_full_one_in_pointer_authentication_alone() -> None:
    program = """
import ctypes, json, os
value = ctypes.CDLL(None).getauxval
value.restype, value.argtypes = ctypes.c_ulong, (ctypes.c_ulong,)
with open("/proc/cpuinfo") as lines:
    told = [line for line in lines if "MHz" not in line]
print(json.dumps([value(16), [value(26), os.uname(), told]]))
"""
    ours, full = (
        json.loads(engine().run(image("aarch64"), ("python3", "-c", program), timeout=120, env=env).stdout)
        for env in ({}, {"QEMU_CPU": "max"})
    )
    assert full[0] ^ ours[0] == (0 if MACHINE == "aarch64" else HWCAP_PACA | HWCAP_PACG)
    assert full[1] == ours[1]


def test_a_missing_image_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="no local image"):
        engine().run("localhost/none:1", ("true",), timeout=60)


def test_a_comma_in_a_mount_cannot_become_an_option(tmp_path: Path) -> None:
    folder = tmp_path / "a,readonly=false"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="comma"):
        engine().run(image(), ("true",), timeout=60, mounts=(Mount(source=folder, target="/in"),))


def test_it_travels_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(engine())) == engine() and engine().kind is KINDS[engine().name]


def test_our_mark_names_this_process() -> None:
    assert our_mark().partition("-")[0] == str(os.getpid())
    assert root("aarch64", Role.BUILD).name == "bookworm-aarch64-build"


def wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


@pytest.mark.parametrize("mischief", ['os.symlink("/dev/zero", "memory")', 'os.mkdir("memory")'])
def test_the_folder_for_notes_is_no_door_to_the_host(mischief: str) -> None:
    done = python(f"import os; os.chdir('/run/wheelbuilder'); {mischief}", memory=256 * MIB)
    assert done.peak_memory is None and not done.out_of_memory


def test_what_the_engine_drops_on_out_of_memory_follows_no_link_of_a_container(tmp_path: Path) -> None:
    target = tmp_path / "dropped"
    link = f"import os; os.symlink({str(target)!r}, '/run/wheelbuilder/oom')"
    done = python(f"{link}; b = bytearray(300 << 20); b[::4096] = b[::4096]", memory=64 * MIB)
    assert done.out_of_memory
    assert not target.exists()
