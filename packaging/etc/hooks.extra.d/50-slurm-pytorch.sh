#!/bin/bash
# How the tasks of a Slurm step find each other in PyTorch, for images that have it.
#
# enroot-when: SLURM_STEP_NODELIST
set -euo pipefail

environ=$'\n'$(< "$ENROOT_ENVIRON")
[[ $environ == *$'\n'PYTORCH_VERSION=* && -n ${SLURM_STEP_NODELIST-} ]] || exit 0

add() {
    [[ $environ == *$'\n'"$1="* ]] || echo "$1=$2" >> "$ENROOT_ENVIRON"
}

add RANK "${SLURM_PROCID:-0}"
add LOCAL_RANK "${SLURM_LOCALID:-0}"
add WORLD_SIZE "${SLURM_STEP_NUM_TASKS:-1}"
# Steps that share a node must not share a port; all tasks of one come to the same.
add MASTER_PORT "$((20000 + (SLURM_JOB_ID * 10 + ${SLURM_STEP_ID:-0} % 10) % 20000))"

if [[ $environ != *$'\n'MASTER_ADDR=* ]]; then
    if [[ $SLURM_STEP_NODELIST == *[[,]* ]]; then
        if ! hosts=$(scontrol show hostnames "$SLURM_STEP_NODELIST"); then
            echo "scontrol cannot say which hosts '$SLURM_STEP_NODELIST' are: set MASTER_ADDR" >&2
            exit 1
        fi
        add MASTER_ADDR "${hosts%%$'\n'*}"
    else
        add MASTER_ADDR "$SLURM_STEP_NODELIST"
    fi
fi
