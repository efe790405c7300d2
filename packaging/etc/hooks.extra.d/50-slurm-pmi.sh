#!/bin/bash
# What a task of MPI needs to find the others of its Slurm step: variables, and the folders of PMIx.
#
# enroot-when: SLURM_STEP_ID
set -euo pipefail

[[ -n ${SLURM_JOB_ID-} && -n ${SLURM_STEP_ID-} ]] || exit 0

for name in "${!SLURM_@}" "${!PMI_@}" "${!PMI2_@}" "${!PMIX_@}"; do
    # A line end would make a line of its own out of the rest.
    [[ ${!name} == *$'\n'* ]] || printf '%s=%s\n' "$name" "${!name}"
done >> "$ENROOT_ENVIRON"

[[ -z ${SLURM_MPI_TYPE-} || $SLURM_MPI_TYPE == pmix* ]] || exit 0
names=("${!PMIX_@}")
((${#names[@]} > 0)) || exit 0

# The server tells what it uses by names of its own, the library reads others.
for pair in ptl:PMIX_PTL_MODULE psec:PMIX_SECURITY_MODE gds:PMIX_GDS_MODULE; do
    source=${pair#*:}
    target=PMIX_MCA_${pair%%:*}
    [[ -z ${!source-} || -n ${!target-} ]] || printf '%s=%s\n' "$target" "${!source}"
done >> "$ENROOT_ENVIRON"

temporary=${TMPDIR:-${TEMP:-${TMP:-/tmp}}}
step=$SLURM_JOB_ID.$SLURM_STEP_ID
for folder in \
    "${PMIX_SYSTEM_TMPDIR:-$temporary}/spmix_appdir_${SLURM_JOB_UID:-$UID}_$step" \
    "${PMIX_SYSTEM_TMPDIR:-$temporary}/spmix_appdir_$step" \
    "${PMIX_SERVER_TMPDIR-}"; do
    [[ $folder == /* && -d $folder ]] || continue
    folder=${folder// /\\040}
    echo "$folder $folder none x-create=dir,bind,rw,nosuid,nodev,noexec,private"
done >> "$ENROOT_MOUNTS"
