/* What is mounted where, as the kernel tells. */
#ifndef MOUNTINFO_H
#define MOUNTINFO_H

#include "dataset.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* A line of /proc/self/mountinfo, see proc_pid_mountinfo(5). */
struct mount {
    uint64_t id, parent;
    char point[PATH_MAX];
    char dataset[DATASET_LENGTH + 1]; /* empty: it is not the root of a dataset */
};

/*
 * Show every mount of this namespace to a function until it returns true. Returns 1 when it did, 0 when
 * it never did, -1 with errno when the table cannot be read to its end.
 */
int search_mounts(bool (*is_it)(const struct mount *, void *), void *context);

/* The mount of an id, with the results of search_mounts. */
int find_mount(uint64_t id, struct mount *mount);

/* The id of the mount that a descriptor is in: 0 when the kernel does not tell. */
uint64_t mount_id(int fd);

#endif
