#!/bin/sh
# Prepare this machine: container engine, archive tools, emulators. Does only what is missing.
# usage: setup.sh run|test|s3    (test: also what only the tests need; s3: also every object storage server)
set -eu

purpose=${1:-run}
# podman's own choice of run-time refuses some hosts, so runc too; netavark and uidmap it only recommends.
packages="podman runc netavark uidmap mmdebstrap debian-archive-keyring qemu-user-static binfmt-support python3-venv patch"
[ "$purpose" = run ] || packages="$packages docker-registry gcc libc6-dev memcached"
[ "$purpose" = s3 ] && packages="$packages ceph-mon ceph-mgr ceph-osd radosgw"
emulated="aarch64 arm ppc64le riscv64 s390x"
binfmt=/proc/sys/fs/binfmt_misc

say() { echo "setup: $*" >&2; }

installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing_packages() {
    for package in $packages; do
        # An engine that was installed in another way is as good.
        [ "$package" = podman ] && command -v podman >/dev/null && continue
        installed "$package" || printf '%s ' "$package"
    done
}

install_packages() {
    apt-get update -qq
    wanted=
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            wanted="$wanted $package"
        else
            say "this system's archive has no package $package; going on without it"
        fi
    done
    # Nothing of ours is a service: a freshly installed registry or engine shall not start to listen.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT INT TERM
    fi
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $wanted >&2
}

register() {
    [ -e "$binfmt/register" ] || modprobe binfmt_misc 2>/dev/null || true
    [ -e "$binfmt/register" ] || mount -t binfmt_misc binfmt_misc "$binfmt" || {
        say "binfmt_misc cannot be mounted here: foreign architectures will not run"
        return 0
    }
    for name in $emulated; do
        [ "$name" = "$(uname -m)" ] && continue
        entry=$binfmt/qemu-$name
        line=/usr/lib/binfmt.d/qemu-$name.conf
        # Flag F: the kernel opens the emulator now, so that it also works inside containers.
        if [ -e "$entry" ] && grep -q '^flags:.*F' "$entry"; then continue; fi
        [ -e "$entry" ] && echo -1 >"$entry"
        if [ -e "/usr/share/binfmts/qemu-$name" ] && command -v update-binfmts >/dev/null; then
            update-binfmts --enable "qemu-$name" 2>/dev/null || true
        fi
        if [ ! -e "$entry" ] && [ -e "$line" ]; then
            cat "$line" >"$binfmt/register" 2>/dev/null || true
        fi
        [ -e "$entry" ] || say "no emulator could be registered for $name"
    done
}

if [ "$(uname -s)" != Linux ]; then
    say "wheels for Linux are built on Linux only"
    exit 1
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    missing=$(missing_packages)
    # shellcheck disable=SC2086
    [ -z "$missing" ] || { say "installing $missing"; install_packages $missing; }
    register
    exit 0
fi
needed=
command -v podman >/dev/null || command -v docker >/dev/null || needed="podman and runc (or docker)"
command -v mmdebstrap >/dev/null || needed="${needed:+$needed, }mmdebstrap (for roots made here)"
[ -e "$binfmt/qemu-aarch64" ] || [ "$(uname -m)" = aarch64 ] ||
    needed="${needed:+$needed, }qemu-user-static registered with binfmt_misc and the flag F (for foreign architectures)"
if [ -n "$needed" ]; then
    say "this is not root on a Debian-like system; please install: $needed"
    say "'wheelbuilder doctor' says what works"
fi
command -v podman >/dev/null || command -v docker >/dev/null || exit 1
