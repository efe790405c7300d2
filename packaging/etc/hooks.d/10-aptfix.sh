#!/bin/sh
# apt hands its downloads to a user of its own. Where root is the only user there is, it cannot.
set -eu

read -r first _ count < /proc/self/uid_map
if [ "$first" != 0 ] || [ "$count" != 1 ]; then exit 0; fi
[ -d "$ENROOT_ROOTFS/etc/apt/apt.conf.d" ] || exit 0

echo 'APT::Sandbox::User "root";' > "$ENROOT_WORKDIR/aptfix.conf"
# The variable is for what reads the line: the path may hold a space.
# shellcheck disable=SC2016
echo '${ENROOT_WORKDIR}/aptfix.conf /etc/apt/apt.conf.d/99enroot none' \
    'x-create=file,bind,ro,nosuid,nodev,noexec,nofail,silent' >> "$ENROOT_MOUNTS"
