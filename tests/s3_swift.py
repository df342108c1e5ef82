"""OpenStack Swift with its S3 interface, from nothing, as a tree of ordinary processes on loopback."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from s3_servers import Server, await_answer, find, free_port, process, run

PARTS = ("account", "container", "object")
PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl s3api tempauth staticweb "
    "container-quotas copy slo dlo versioned_writes symlink"
)
# On a busy machine the defaults (half a second) make a part be left out for a minute.
PATIENT = "conn_timeout = 30\nnode_timeout = 60\n"
PATIENT_CACHE = "connect_timeout = 30\npool_timeout = 30\nio_timeout = 30\nerror_suppression_limit = 1000000"
OPTIONS = {
    "s3api": "location = us-east-1\ns3_acl = false",
    "tempauth": "user_test_tester = testing .admin\nuser_test_reader = reading",
    "slo": "minimum_segment_size = 1",
    "container-quotas": "use = egg:swift#container_quotas",
}


@contextmanager
def swift(folder: Path) -> Iterator[Server]:
    """Start a proxy with one account, one container and one object server."""
    ports = {name: free_port() for name in (*PARTS, "proxy", "memcached")}
    settings, log = folder / "etc", folder / "log"
    _configure(settings, folder / "disks", ports)
    with ExitStack() as stack:
        # -u: it refuses to run as root, and changes to nobody instead
        memcached = ["memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-u", "nobody"]
        stack.enter_context(process(memcached, log))
        for name in (*PARTS, "proxy"):
            argv = [f"swift-{name}-server", str(settings / f"{name}-server.conf")]
            stack.enter_context(process(argv, log))
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        await_answer(f"{endpoint}/healthcheck", log, (200,))
        server = Server(
            name="swift",
            endpoint=endpoint,
            access_key="test:tester",
            secret_key="testing",
            folder=folder,
            log=log,
            opened=_open,
        )
        server.await_buckets()
        yield server


def _open(server: Server, bucket: str) -> str:
    """Allow everybody to read; only the native address lets somebody without a key in."""
    server.client().put_bucket_acl(Bucket=bucket, ACL="public-read")
    return f"{server.endpoint}/v1/AUTH_test/{bucket}"


def _configure(settings: Path, disks: Path, ports: dict[str, int]) -> None:
    settings.mkdir()
    (disks / "d1").mkdir(parents=True)
    (settings / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = test\nswift_hash_path_suffix = test\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for name in PARTS:
        (settings / f"{name}-server.conf").write_text(
            f"{_defaults(settings, ports[name])}devices = {disks}\nmount_check = false\n"
            f"disable_fallocate = true\n[pipeline:main]\npipeline = {name}-server\n"
            f"[app:{name}-server]\nuse = egg:swift#{name}\n{PATIENT}container_update_timeout = 60\n"
        )
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _make_ring(settings, name, ports[name]), PARTS))
    (settings / "proxy-server.conf").write_text(_proxy(settings, ports))


def _make_ring(settings: Path, name: str, port: int) -> None:
    builder = find("swift-ring-builder")
    for step in ("create 8 1 1", f"add r1z1-127.0.0.1:{port}/d1 100", "rebalance"):
        run([str(builder), f"{name}.builder", *step.split()], cwd=settings)


def _proxy(settings: Path, ports: dict[str, int]) -> str:
    lines = [_defaults(settings, ports["proxy"]), f"[pipeline:main]\npipeline = {PIPELINE} proxy-server\n"]
    lines.append("[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n")
    lines.append(f"{PATIENT}recoverable_node_timeout = 60\nerror_suppression_limit = 1000000\n")
    cache = f"use = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{ports['memcached']}\n{PATIENT_CACHE}"
    options = OPTIONS | {"cache": cache}
    for name in PIPELINE.split():
        chosen = options.get(name, "")
        egg = "" if chosen.startswith("use =") else f"use = egg:swift#{name}\n"
        lines.append(f"[filter:{name}]\n{egg}{chosen}\n")
    return "".join(lines)


def _defaults(settings: Path, port: int) -> str:
    return (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nuser = {getpass.getuser()}\nworkers = 0\n"
        f"swift_dir = {settings}\nlog_address = {settings}/no-syslog\n"
    )
