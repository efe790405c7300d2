/* Names of datasets and what they are called as folders. */
#ifndef DATASET_H
#define DATASET_H

#include <limits.h>
#include <stddef.h>

enum {
    DATASET_LENGTH = 255, /* the longest name that ZFS takes */
    LEVELS = 3, /* below a store; templates and layers are at the second */
};

/* A dataset below a store. */
struct dataset {
    char name[DATASET_LENGTH + 1];
    size_t n_parts; /* 0: the store itself */
    struct {
        char folder[NAME_MAX + 1]; /* what the part is called as a folder */
        size_t end; /* as many bytes of the name lead up to here, the part included */
    } parts[LEVELS];
};

/*
 * Take the name of a dataset apart. It is the store's name, or that and up to LEVELS parts, each of
 * letters, digits, '.', '_' and '-', and of ':hh', lower-case hex, for any byte that is none of these.
 * Every folder has one name, and no part is a way to another folder. Ends the program when the name is
 * anything else.
 */
void parse_dataset(const char *name, const char *store, struct dataset *dataset);

#endif
