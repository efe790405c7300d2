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
 *     z MODE OFFSET STORED SIZE NAME
 *                                 a file that is deflated (RFC 1951) to STORED bytes
 *     i MODE SIZE NAME            a file that is not in here: a package has installed it
 *     a WORD                      a word of the command; @ stands for the folder
 *     d OFFSET SIZE               bytes that are not unpacked here: the image of a bundle
 *
 * and a trailer of 104 bytes: "ENROOTP1", the table's offset and size in 16 hex digits each, and the
 * content id, 64 hex digits. Offsets count from the beginning of the executable. With "ENROOTC1" in its
 * place the id is the sha256 of all that is before the trailer, without the bytes of "d" lines.
 */
enum { MAX_FILES = 256, MAX_WORDS = 32, ID_LENGTH = 64 };

struct packed_file {
    const char *name;
    off_t offset, stored, size; /* where it is, in how many bytes, and how many it has */
    mode_t mode;
    bool is_deflated;
};

struct payload {
    int fd;
    char id[ID_LENGTH + 1];
    struct packed_file files[MAX_FILES];
    size_t n_files;
    const char *words[MAX_WORDS + 1];
    size_t n_words;
    off_t data_offset, data_size; /* what is not unpacked here */
    off_t end; /* where the trailer begins */
    bool is_whole; /* every file is in here */
    bool is_checked; /* the id is a checksum of what is here */
};

/* Read the table of the running executable. Ends the program when there is none, or a wrong one. */
void read_payload(struct payload *payload, const char *executable);

/* Whether a folder holds every file, whole as far as its size tells. */
bool is_complete(const struct payload *payload, int folder);

/* Write every file below an empty folder; false with errno, EILSEQ when one is damaged. */
bool write_files(const struct payload *payload, int folder);

/* A file as a sealed one in memory, which stays open over execve(2): a descriptor, or -1 with errno. */
int load_file(const struct payload *payload, const struct packed_file *file);

#endif
