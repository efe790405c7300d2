#!/bin/bash
# Lets a container divide its GPUs: for administrators, where the GPUs are in MIG mode.
#
# enroot-when: NVIDIA_VISIBLE_DEVICES
set -euo pipefail

environ=$'\n'$(< "$ENROOT_ENVIRON")
devices=${NVIDIA_VISIBLE_DEVICES-}
if [[ -z $devices && $environ == *$'\n'NVIDIA_VISIBLE_DEVICES=* ]]; then
    devices=${environ##*$'\n'NVIDIA_VISIBLE_DEVICES=}
    devices=${devices%%$'\n'*}
fi
# A part of a GPU cannot be divided.
case ${devices:-void} in void | none | *MIG-* | *:*) exit 0 ;; esac

query=("--query-gpu=mig.mode.current" "--format=csv,noheader")
[[ $devices == all ]] || query+=(-i "$devices")
if ! modes=$(nvidia-smi "${query[@]}"); then
    echo "nvidia-smi cannot tell the MIG mode of NVIDIA_VISIBLE_DEVICES=$devices: $modes" >&2
    exit 1
fi
if [[ $modes == *Enabled* ]]; then echo NVIDIA_MIG_CONFIG_DEVICES=all >> "$ENROOT_ENVIRON"; fi
