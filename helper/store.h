/* The store, and places in it. */
#ifndef STORE_H
#define STORE_H

#include "dataset.h"
#include "mountinfo.h"
#include "store_config.h"

/* The dataset that is mounted at ENROOT_DATA_PATH. */
struct store {
    int fd; /* its root folder, O_PATH */
    uint64_t mount;
    char path[PATH_MAX];
    char dataset[DATASET_LENGTH + 1];
};

/*
 * Find the store and see that it is the caller's: it belongs to the owner of its root folder. Ends the
 * program when there is none, when ${USER} could be more than one, or when it is somebody else's.
 */
void find_store(const struct data_path *data_path, uid_t uid, struct store *store);

/* Where a dataset of the store is mounted, as it was found; all descriptors are O_PATH. */
struct place {
    int parent; /* the folder that holds the mount point */
    uint64_t parent_mount;
    const char *name; /* the mount point's name in it */
    int top; /* what is seen there: the mount point itself, or the root of what is mounted on it */
    uint64_t top_mount;
    bool is_mounted; /* top is the root of the dataset */
    char path[PATH_MAX];
};

enum found { FOUND, ABSENT, CHANGED };

/*
 * Walk from the store's root to where a dataset, not the store itself, belongs. Nothing is followed on
 * the way but mounts, and of these only the ones of the very datasets that the name leads through.
 *
 * Returns ABSENT when a folder is missing, which one is in the place's path; CHANGED when somebody
 * changed mounts meanwhile, and it should be tried again. Ends the program for a symbolic link, and
 * when something else is mounted on the way or there.
 */
enum found find_place(const struct store *store, const struct dataset *dataset, struct place *place);

/* Close what a place holds. */
void leave_place(struct place *place);

/* Refuse when a folder belongs neither to the caller nor the caller is root. */
void check_owner(int fd, uid_t uid, const char *what, const char *rule);

#endif
