"""Ceph's S3 gateway with a monitor, a manager and one storage daemon in a file, as processes on loopback."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from s3_servers import PATIENCE, Server, await_answer, find, free_port, open_by_policy, process, run

SETTINGS = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon1}]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 8
osd_objectstore = bluestore
bluestore_block_size = 21474836480
osd_memory_target = 1073741824
keyring = {folder}/keyring
mon_data = {folder}/mon/a
mgr_data = {folder}/mgr/a
osd_data = {folder}/osd/0
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
log_file = {folder}/log.$name
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{rgw}
"""
ALL = {"mon": "allow *", "osd": "allow *", "mgr": "allow *"}


@contextmanager
def radosgw(folder: Path) -> Iterator[Server]:
    """Start a cluster of one and its gateway. It honours If-Match only without quotes (release 16)."""
    for name in ("mon/a", "mgr/a", "osd/0", "run"):
        (folder / name).mkdir(parents=True)
    ports = {name: free_port() for name in ("mon", "mon1", "rgw")}
    fsid = str(uuid.uuid4())
    (folder / "ceph.conf").write_text(SETTINGS.format(fsid=fsid, folder=folder, **ports))
    cluster = _Cluster(folder)
    cluster.make_monitor(fsid, ports)
    endpoint = f"http://127.0.0.1:{ports['rgw']}"
    with ExitStack() as stack:
        stack.enter_context(cluster.daemon("ceph-mon", "-i", "a"))
        cluster.make_storage()
        stack.enter_context(cluster.daemon("ceph-mgr", "-i", "a"))
        stack.enter_context(cluster.daemon("ceph-osd", "-i", "0"))
        cluster.await_storage()
        stack.enter_context(cluster.daemon("radosgw", "-n", "client.rgw"))
        await_answer(f"{endpoint}/", folder / "log")
        user = ("--uid", "tester", "--display-name", "tester")
        cluster.tool(
            "radosgw-admin", "user", "create", *user, "--access-key", "KEY", "--secret-key", "SECRET"
        )
        server = Server(
            name="radosgw",
            endpoint=endpoint,
            access_key="KEY",
            secret_key="SECRET",
            folder=folder,
            log=folder / "log.client.rgw",
            opened=open_by_policy,
        )
        server.await_buckets()
        yield server


class _Cluster:
    """The commands that make and start the parts, with the settings of this cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"CEPH_CONF": str(folder / "ceph.conf")}
        self.keyring = folder / "keyring"

    def tool(self, program: str, *arguments: str) -> str:
        return run([str(find(program)), *arguments], env=os.environ | self.env, cwd=self.folder)

    def daemon(self, program: str, *arguments: str) -> AbstractContextManager[object]:
        return process([program, *arguments, "--foreground"], self.folder / "log", self.env)

    def make_monitor(self, fsid: str, ports: dict[str, int]) -> None:
        keyring, address = str(self.keyring), f"[v2:127.0.0.1:{ports['mon']},v1:127.0.0.1:{ports['mon1']}]"
        self.tool(
            "ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *_caps(mon="allow *")
        )
        self.tool("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *_caps(**ALL))
        self.tool("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, "monmap")
        self.tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", keyring)

    def make_storage(self) -> None:
        identity = str(uuid.uuid4())  # the same for both, or the daemon never comes up
        self.tool("ceph", "osd", "new", identity)
        key = self._add_key("osd.0", mon="allow profile osd", mgr="allow profile osd", osd="allow *")
        (self.folder / "osd/0/keyring").write_text(key)
        self._add_key("mgr.a", mon="allow profile mgr", osd="allow *")
        self._add_key("client.rgw", mon="allow rw", osd="allow rwx")
        self.tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)

    def await_storage(self) -> None:
        end = time.monotonic() + PATIENCE
        while "1 up" not in (status := self.tool("ceph", "-s")):
            assert time.monotonic() < end, status
            time.sleep(0.2)

    def _add_key(self, name: str, **caps: str) -> str:
        words = [word for part, cap in caps.items() for word in (part, cap)]
        key = self.tool("ceph", "auth", "get-or-create", name, *words)
        with self.keyring.open("a") as file:
            file.write(key)
        return key


def _caps(**caps: str) -> list[str]:
    return [word for part, cap in caps.items() for word in ("--cap", part, cap)]
