/* What is packed behind the launcher. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The format, written by packaging/payload.ts: the files, one after the other; a table of lines
 *
 *     f MODE OFFSET SIZE NAME     a file: octal, decimal, decimal, a path without ..
 *     i MODE SIZE NAME            a file that is not in here: a package has installed it
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
    bool is_whole; /* every file is in here */
};

/* Read the table of the running executable. Ends the program when there is none, or a wrong one. */
void read_payload(struct payload *payload, const char *executable);

/* Whether a folder holds every file, whole as far as its size tells. */
bool is_complete(const struct payload *payload, int folder);

/* Write every file below an empty folder; false with errno. */
bool write_files(const struct payload *payload, int folder);

/* A file as a sealed one in memory, which stays open over execve(2): a descriptor, or -1 with errno. */
int load_file(const struct payload *payload, const struct packed_file *file);

#endif
