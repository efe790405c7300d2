#!/bin/sh
# With ENROOT_RESTRICT_DEV, and where the container has IPC of its own: a /dev with only what every
# program expects.
#
# enroot-when: ENROOT_RESTRICT_DEV ENROOT_UNSHARE_IPC
set -eu

is_on() {
    case ${1:-n} in n | no | N | NO | false | FALSE | f) return 1 ;; esac
}

ipc=yes
is_on "${ENROOT_UNSHARE_IPC-}" || ipc=
[ -n "$ipc" ] || is_on "${ENROOT_RESTRICT_DEV-}" || exit 0

dev=$ENROOT_WORKDIR/dev
mkdir -m 755 "$dev"
ln -s /proc/self/fd "$dev/fd"
ln -s /proc/self/fd/0 "$dev/stdin"
ln -s /proc/self/fd/1 "$dev/stdout"
ln -s /proc/self/fd/2 "$dev/stderr"

node=x-create=file,bind,nosuid,noexec
folder=x-create=dir,nosuid,nodev,noexec
{
    # The variable is for what reads the line: the path may hold a space.
    # shellcheck disable=SC2016
    echo '${ENROOT_WORKDIR}/dev /dev none bind,nosuid,noexec'
    for name in null zero full random urandom tty ptmx; do
        echo "/dev/$name /dev/$name none $node"
    done
    # Not a new instance: in that the caller's terminal would have no name.
    echo '/dev/pts /dev/pts none x-create=dir,bind,nosuid,noexec'
    if [ -n "$ipc" ]; then
        echo "tmpfs /dev/shm tmpfs $folder,mode=1777"
        echo "mqueue /dev/mqueue mqueue $folder,nofail,silent"
    else
        echo "/dev/shm /dev/shm none $folder,bind"
        echo "/dev/mqueue /dev/mqueue none $folder,bind,nofail,silent"
    fi
    # At once and not with ENROOT_MOUNTS: later hooks put devices into it.
} | enroot-mount --root "$ENROOT_ROOTFS" -
