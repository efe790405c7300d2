#!/bin/sh
# Programs look in their cgroup for the limits of the job. They see that one, and cannot write to it.
set -eu

top=/sys/fs/cgroup
[ -d "$top" ] || exit 0

while IFS=: read -r id controllers cgroup; do
    # Version 2 has the number 0. Next to hierarchies of version 1 it is in a folder of its own.
    if [ "$id" != 0 ]; then
        hierarchy=$top/${controllers#name=}
    elif [ -e "$top/cgroup.controllers" ]; then
        hierarchy=$top
    else
        hierarchy=$top/unified
    fi
    [ -d "$hierarchy" ] || continue
    source=$hierarchy$cgroup
    # Outside of what can be seen here, or not to be written in a line: the whole hierarchy.
    case $cgroup in */.. | */../* | *[[:space:]]*) source=$hierarchy ;; esac
    [ -d "$source" ] || source=$hierarchy
    # Not echo: names of systemd's hold backslashes.
    printf '%s %s none bind,ro,nosuid,nodev,noexec,nofail,silent\n' "$source" "$hierarchy"
done < /proc/self/cgroup >> "$ENROOT_MOUNTS"
