#!/bin/sh
# The host's time zone.
set -eu

[ -f /etc/localtime ] || exit 0
if [ ! -L "$ENROOT_ROOTFS/etc/localtime" ]; then
    echo '/etc/localtime /etc/localtime none' \
        'x-create=file,bind,ro,nosuid,nodev,noexec,nofail,silent' >> "$ENROOT_MOUNTS"
    exit 0
fi

# A mount would follow the link and make another zone out of one in the container's database.
links=$(readlink /etc/localtime "$ENROOT_ROOTFS/etc/localtime") || exit 0
zone=${links%%/zoneinfo/*}
[ "$zone" != "$links" ] || exit 0
links=${links#"$zone"/zoneinfo/}
own=${links##*/zoneinfo/}
zone=${links%%
*}
[ "$zone" != "$own" ] && [ -f "$ENROOT_ROOTFS/usr/share/zoneinfo/$zone" ] || exit 0
grep -qs '^TZ=' "$ENROOT_ENVIRON" || echo "TZ=$zone" >> "$ENROOT_ENVIRON"
