/* What is packed behind the launcher, and where it is unpacked to. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The format, written by packaging/payload.ts: the files, one after the other; a table of lines
 *
 *     f MODE OFFSET SIZE NAME     a file: octal, decimal, decimal, a path without ..
 *     a WORD                      a word of the command; @ stands for the folder
 *
 * and a trailer of 104 bytes: "ENROOTP1", the table's offset and size in 16 hex digits each, and the
 * content id, 64 hex digits. Offsets count from the beginning of the executable.
 */
enum { MAX_FILES = 256, MAX_WORDS = 32, ID_LENGTH = 64 };

struct packed_file {
    const char *name;
    off_t offset, size;
    mode_t mode;
};

struct payload {
    int fd;
    char id[ID_LENGTH + 1];
    struct packed_file files[MAX_FILES];
    size_t n_files;
    const char *words[MAX_WORDS + 1];
    size_t n_words;
};

/* Read the table of an executable. Ends the program when there is none, or a wrong one. */
void read_payload(struct payload *payload, const char *executable);

/*
 * Make sure that the payload is unpacked in a folder below `base`, and write that folder's path to
 * `path`. It is there whole or not at all, however many processes do this at once; what is damaged is
 * made anew, and what a killed process left is removed.
 *
 * Returns NULL, or why it cannot be there.
 */
const char *unpack(const struct payload *payload, const char *base, char *path, size_t size);

/* As above, but only when it is there already: a folder that a package installed. */
const char *find_unpacked(const struct payload *payload, const char *folder);

#endif
