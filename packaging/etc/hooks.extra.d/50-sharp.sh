#!/bin/bash
# Collective operations in the switches, where the SHARP daemon of this job runs on the machine.
#
# enroot-when: MELLANOX_VISIBLE_DEVICES
set -euo pipefail

environ=$'\n'$(< "$ENROOT_ENVIRON")
devices=${MELLANOX_VISIBLE_DEVICES-}
if [[ -z $devices && $environ == *$'\n'MELLANOX_VISIBLE_DEVICES=* ]]; then
    devices=${environ##*$'\n'MELLANOX_VISIBLE_DEVICES=}
    devices=${devices%%$'\n'*}
fi
case ${devices:-void} in void | none) exit 0 ;; esac

# Its socket has no file: proc_net(5), unix. The other one is that of the daemon without a job.
socket=
while read -r _ _ _ _ _ _ _ path; do
    if [[ $path == @sharpd* && $path != @sharpd_unix_sock ]]; then socket=${path#@}; fi
done < /proc/net/unix
[[ -n $socket ]] || exit 0

add() {
    [[ $environ == *$'\n'"$1="* ]] || echo "$1=$2" >> "$ENROOT_ENVIRON"
}

echo "SHARP_COLL_SHARPD_SOCKET_NAME=$socket" >> "$ENROOT_ENVIRON"
# Resources are taken when a communicator is made: NCCL makes them all before it uses any.
add SHARP_COLL_LOCK_ON_COMM_INIT 1
add SHARP_COLL_NUM_COLL_GROUP_RESOURCE_ALLOC_THRESHOLD 0
add NCCL_COLLNET_ENABLE 1
nodes=${SLURM_STEP_NUM_NODES-${OMPI_MCA_orte_num_nodes-}}
if [[ -n $nodes ]]; then add NCCL_SHARP_GROUP_SIZE_THRESH "$nodes"; fi
