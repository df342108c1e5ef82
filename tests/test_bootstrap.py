from __future__ import annotations

import os

import pytest
from engines import engine, image, root

from wheelbuilder.build.bootstrap import PACKAGE_LIST
from wheelbuilder.inputs.images import Role

ARCHS = ("x86_64", "aarch64")


def shell(script: str, arch: str, role: Role = Role.BARE) -> str:
    done = engine().run(image(arch, role), ("sh", "-c", script), timeout=120)
    assert done.ok, done.stderr
    return done.stdout


@pytest.mark.engine
@pytest.mark.parametrize("arch", ARCHS)
class TestRoots:
    def test_the_accounts_are_there(self, arch: str) -> None:
        script = "id -un; id -gn; getent passwd root nobody | cut -d: -f1,3; echo ~"
        assert shell(script, arch).split() == ["builder", "builder", "root:0", "nobody:65534", "/tmp"]

    def test_the_compilers_have_their_usual_names(self, arch: str) -> None:
        script = (
            "for name in cc c++ c99 gcc g++ cpp awk make pkg-config python3-config; do command -v $name; done"
        )
        assert len(shell(script, arch, Role.BUILD).split()) == 10

    def test_a_bare_root_has_no_compiler_and_no_headers(self, arch: str) -> None:
        script = "command -v cc gcc make; ls -d /usr/include/python3* /usr/include/stdio.h 2>/dev/null; true"
        assert shell(script, arch) == ""

    def test_libraries_are_found_by_name(self, arch: str) -> None:
        script = "python3 -c 'import ctypes.util; print(ctypes.util.find_library(\"ssl\"))'"
        assert shell(script, arch) == "libssl.so.3\n"

    def test_certificates_are_known(self, arch: str) -> None:
        program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
        assert int(shell(f"python3 -c '{program}'", arch)) > 100

    def test_nothing_of_the_host_that_made_it_is_left(self, arch: str) -> None:
        with engine().mounted(image(arch)) as folder:
            assert (folder / "etc/resolv.conf").read_bytes() == b""
            assert os.uname().nodename.encode() not in (folder / "etc/hosts").read_bytes()
            assert not (folder / "var/cache/apt").exists() and list((folder / "tmp").iterdir()) == []

    def test_what_is_in_it_is_on_record(self, arch: str) -> None:
        with engine().mounted(image(arch)) as folder:
            lines = (folder / PACKAGE_LIST).read_text().splitlines()
        debian = root(arch).arch.debian
        names = {line.split()[0]: line.split()[1:] for line in lines}
        assert names["python3.11"][1] == debian and names["libc6"][0].startswith("2.36-")

    def test_plain_pip_installs(self, arch: str) -> None:
        script = """
set -e; cd /tmp; mkdir -p made/probe-1.dist-info
echo 'answer = 42' >made/probe.py
printf 'Metadata-Version: 2.1\\nName: probe\\nVersion: 1\\n' >made/probe-1.dist-info/METADATA
printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' >made/probe-1.dist-info/WHEEL
printf 'probe.py,,\\nprobe-1.dist-info/METADATA,,\\n' >made/probe-1.dist-info/RECORD
python3 -c 'import shutil; shutil.make_archive("probe-1-py3-none-any.whl", "zip", "made")'
mv probe-1-py3-none-any.whl.zip probe-1-py3-none-any.whl
python3 -m pip install --quiet --no-index --find-links . probe
python3 -c 'import probe; print(probe.answer)'
"""
        assert shell(script, arch) == "42\n"
