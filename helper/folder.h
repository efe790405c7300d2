/* Where the payload is unpacked to. */
#ifndef FOLDER_H
#define FOLDER_H

#include "payload.h"

#include <limits.h>
#include <stdbool.h>

/* In an unpacked payload: the cache, and the one that is being filled. */
#define CACHE "cache"
#define NEW_CACHE "cache.new"

/* A folder of ours that holds unpacked payloads: `name`, in `parent`. */
struct place {
    const char *parent; /* NULL: there is no such place */
    const char *name;
    bool make_parent;
};

/* An unpacked payload. */
struct folder {
    char path[PATH_MAX];
    bool is_noexec;  /* programs cannot be executed from there */
    bool is_warm;    /* what the runtime finds out about the program is there to be read */
    bool is_claimed; /* ours, and it is up to this process to find that out */
};

/*
 * Make sure that the payload is unpacked in a place. It is there whole or not at all, however many
 * processes do this at once; what is damaged is made anew, what a killed process left is removed, and
 * so is another version that was not used for a month.
 *
 * Whoever can write a folder decides what is executed from it, so: our folder belongs to the caller,
 * is no symbolic link, and nobody else may write to it or move it away.
 *
 * Returns NULL, or why it cannot be there.
 */
const char *unpack(const struct payload *payload, const struct place *place, struct folder *folder);

/* Whether nobody but the caller and root can put another folder in the place of this one, or of one above
 * it: NULL, or why not. */
const char *check_way(int start);

/* The path of an open folder, on which nothing is a symbolic link: what check_way() was told of is then
 * what the path names. NULL, or why there is none. */
const char *real_path(int fd, char path[PATH_MAX]);

/* Only find it: a payload that a package has put into `parent`. True when it is there. */
bool find_unpacked(const struct payload *payload, const char *parent, struct folder *folder);

#endif
