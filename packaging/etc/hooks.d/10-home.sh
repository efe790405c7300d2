#!/bin/sh
# With ENROOT_MOUNT_HOME: the user's home folder, where it is outside.
#
# enroot-when: ENROOT_MOUNT_HOME
set -eu

case ${ENROOT_MOUNT_HOME:-n} in n | no | N | NO | false | FALSE | f) exit 0 ;; esac

case ${HOME-} in
/*) ;;
*)
    # The uid outside: with --root the one inside is 0.
    read -r _ uid _ < /proc/self/uid_map
    HOME=$(getent passwd "$uid" | cut -d : -f 6)
    ;;
esac
case $HOME in
/?*) ;;
*)
    echo "no home folder of uid $(id -u) is known: set HOME, or turn ENROOT_MOUNT_HOME off" >&2
    exit 1
    ;;
esac
if [ ! -d "$HOME" ]; then
    echo "the home folder $HOME is not there: turn ENROOT_MOUNT_HOME off, or mount it on the host" >&2
    exit 1
fi

# Fields of a line end at white space.
field() {
    printf '%s' "$1" | sed 's/\\/\\134/g; s/ /\\040/g; s/\t/\\011/g; s/#/\\043/g'
}
home=$(field "$HOME")
{
    printf '%s %s none x-create=dir,rbind,rw,nosuid,nodev,rslave\n' "$home" "$home"
    # By default containers are in the home: all that this start has mounted would be there again.
    case $ENROOT_ROOTFS in
    "$HOME"/*) printf 'none %s none x-detach,nofail,silent\n' "$(field "$ENROOT_ROOTFS")" ;;
    esac
} >> "$ENROOT_MOUNTS"
printf 'HOME=%s\n' "$HOME" >> "$ENROOT_ENVIRON"
