#!/bin/bash
# The GPUs that NVIDIA_VISIBLE_DEVICES names, by nvidia-container-cli, or by the CDI specifications of
# the machine where that is not installed.
#
# enroot-when: NVIDIA_VISIBLE_DEVICES
set -euo pipefail

environ=$(< "$ENROOT_ENVIRON")
[[ -v NVIDIA_VISIBLE_DEVICES || $environ == *NVIDIA_VISIBLE_DEVICES=* ]] || exit 0

# What enroot.conf or the caller's environment sets counts before what the container says.
given=" ${!NVIDIA_@} "
while IFS='=' read -r name value; do
    if [[ $name =~ ^NVIDIA_[A-Z0-9_]+$ && $given != *" $name "* ]]; then export "$name=$value"; fi
done <<< "$environ"

is_on() {
    [[ ! ${1:-n} =~ ^(n|no|N|NO|false|FALSE|f)$ ]]
}

fail() {
    echo "$*" >&2
    exit 1
}

devices=${NVIDIA_VISIBLE_DEVICES:-void}
[[ $devices != void ]] || exit 0

if ! command -v nvidia-container-cli > /dev/null; then
    [[ $devices != none ]] || exit 0
    exec enroot internal-cdi nvidia.com/gpu "$devices"
fi

if [[ ! -e /proc/driver/nvidia/version ]]; then
    # Every CUDA image says all. On a machine without any GPU that is none.
    if [[ $devices == all || $devices == none ]]; then
        echo "no GPU in the container: the kernel module nvidia is not loaded on this machine" >&2
        exit 0
    fi
    fail "NVIDIA_VISIBLE_DEVICES=$devices, but /proc/driver/nvidia/version is missing: load the" \
        "kernel module nvidia, or set NVIDIA_VISIBLE_DEVICES=void"
fi

arguments=(--user configure --no-cgroups)
if ldconfig=$(PATH=$PATH:/usr/sbin:/sbin command -v ldconfig.real ||
    PATH=$PATH:/usr/sbin:/sbin command -v ldconfig); then
    # The @ says that it is the host's program, not the container's.
    arguments+=("--ldconfig=@$ldconfig")
fi
# Otherwise the host's /dev is there as a whole.
is_on "${ENROOT_RESTRICT_DEV-}" || is_on "${ENROOT_UNSHARE_IPC-}" || arguments+=(--no-devbind)
[[ $devices == none ]] || arguments+=("--device=$devices")

capabilities=${NVIDIA_DRIVER_CAPABILITIES:-compute,utility}
if [[ $capabilities == all ]]; then
    capabilities=compute,compat32,display,graphics,ngx,utility,video
fi
IFS=',' read -r -a words <<< "$capabilities"
for word in "${words[@]}"; do
    case $word in
    compute | compat32 | display | graphics | ngx | utility | video) arguments+=("--$word") ;;
    '') ;;
    *) fail "NVIDIA_DRIVER_CAPABILITIES=$capabilities: '$word' is not known" ;;
    esac
done

if ! [[ ${NVIDIA_DISABLE_REQUIRE-} =~ ^(1|true|yes|y)$ ]]; then
    for name in "${!NVIDIA_REQUIRE_@}"; do arguments+=("--require=${!name}"); done
fi
[[ -z ${NVIDIA_MIG_CONFIG_DEVICES-} ]] || arguments+=("--mig-config=$NVIDIA_MIG_CONFIG_DEVICES")
[[ -z ${NVIDIA_MIG_MONITOR_DEVICES-} ]] || arguments+=("--mig-monitor=$NVIDIA_MIG_MONITOR_DEVICES")
[[ -z ${NVIDIA_IMEX_CHANNELS-} ]] || arguments+=("--imex-channel=$NVIDIA_IMEX_CHANNELS")

nvidia-container-cli "${arguments[@]}" "$ENROOT_ROOTFS" ||
    fail "nvidia-container-cli could not give the container NVIDIA_VISIBLE_DEVICES=$devices: see what" \
        "'nvidia-container-cli info' says, or set NVIDIA_VISIBLE_DEVICES=void to go without GPUs"
