/* Where the administrator says that the stores are. */
#ifndef STORE_CONFIG_H
#define STORE_CONFIG_H

#include "dataset.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* ENROOT_DATA_PATH of the system's configuration: absolute, without '.', '..', '//' and a final '/'. */
struct data_path {
    char path[PATH_MAX]; /* up to the part that is any name, with the '/' before it; or all of it */
    bool has_any; /* ${USER}: one part of any name, whose folder the caller owns */
    char rest[PATH_MAX]; /* what follows that part, with the '/' before it; or nothing */
    char text[PATH_MAX]; /* as it is shown */
    char origin[2 * PATH_MAX]; /* FILE:LINE */
};

/* What the system's configuration says of stores. */
struct store_config {
    struct data_path data_path;
    char templates[DATASET_LENGTH + 1]; /* ENROOT_TEMPLATE_STORE; empty when it is not set */
};

/*
 * Read it from enroot.conf and enroot.conf.d/ *.conf, the last assignment wins. The environment has no
 * say. Every folder from / on and every file must be root's, writable by nobody else, and no symbolic
 * link. Ends the program when one is not, when a line is no setting, when ENROOT_DATA_PATH is not set,
 * or when it holds anything that is to be expanded but ${UID}, $(id -u), ${USER} and $(id -un);
 * when ENROOT_TEMPLATE_STORE is set to what is no dataset's name.
 */
void read_store_config(uid_t uid, struct store_config *config);

#endif
