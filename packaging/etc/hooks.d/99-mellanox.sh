#!/bin/bash
# The InfiniBand and RoCE adapters that MELLANOX_VISIBLE_DEVICES names. With the host's whole /dev they
# are all there, and only what is named wrongly is reported.
#
# enroot-when: MELLANOX_VISIBLE_DEVICES
set -euo pipefail

if [[ ! -v MELLANOX_VISIBLE_DEVICES ]]; then
    environ=$'\n'$(< "$ENROOT_ENVIRON")
    [[ $environ == *$'\n'MELLANOX_VISIBLE_DEVICES=* ]] || exit 0
    # The last one counts.
    MELLANOX_VISIBLE_DEVICES=${environ##*$'\n'MELLANOX_VISIBLE_DEVICES=}
    MELLANOX_VISIBLE_DEVICES=${MELLANOX_VISIBLE_DEVICES%%$'\n'*}
fi
devices=${MELLANOX_VISIBLE_DEVICES:-void}
[[ $devices != void && $devices != none ]] || exit 0

class=/sys/class/infiniband
shopt -s nullglob
adapters=()
for path in "$class"/*; do
    # By the PCI vendor: there are adapters of others.
    if [[ -r $path/device/vendor && $(< "$path/device/vendor") == 0x15b3 ]]; then
        adapters+=("${path##*/}")
    fi
done

if ((${#adapters[@]} == 0)); then
    if [[ $devices == all ]]; then
        echo "no adapter in the container: $class has none of Mellanox" >&2
        exit 0
    fi
    echo "MELLANOX_VISIBLE_DEVICES=$devices, but $class has no adapter of Mellanox: load the kernel" \
        "module mlx5_ib, or set MELLANOX_VISIBLE_DEVICES=void" >&2
    exit 1
fi

# An adapter is named by its number in the list, its name, or its PCI address.
find_adapter() {
    local adapter address
    if [[ $1 =~ ^[0-9]+$ ]]; then
        found=${adapters[$1]-}
        [[ -z $found ]] || return 0
    fi
    for adapter in "${adapters[@]}"; do
        address=$(readlink -f "$class/$adapter/device")
        if [[ $1 == "$adapter" || ${address##*/} == *"$1" && $1 == *:* ]]; then
            found=$adapter
            return 0
        fi
    done
    return 1
}

if [[ $devices == all ]]; then
    chosen=("${adapters[@]}")
else
    chosen=()
    IFS=',' read -r -a words <<< "$devices"
    for word in "${words[@]}"; do
        if ! find_adapter "$word"; then
            echo "MELLANOX_VISIBLE_DEVICES=$devices: there is no '$word' among ${adapters[*]}" >&2
            exit 1
        fi
        chosen+=("$found")
    done
fi

nodes=(/dev/infiniband/rdma_cm)
for adapter in "${chosen[@]}"; do
    for kind in verbs mad; do
        for path in "$class/$adapter/device/infiniband_$kind"/{uverbs,umad,issm}*; do
            nodes+=("/dev/infiniband/${path##*/}")
        done
    done
done
for node in "${nodes[@]}"; do
    if [[ ! -e $node ]]; then
        echo "$node is missing: load the kernel modules ib_uverbs, ib_umad and rdma_ucm" >&2
        exit 1
    fi
    echo "$node $node none x-create=file,bind,nosuid,noexec"
done >> "$ENROOT_MOUNTS"
