/* The file system of a command, served by a program beside it. */
#ifndef SERVE_H
#define SERVE_H

#include <stddef.h>

/* What is served. */
struct serve_request {
    int command;       /* a file with the arguments of the program, each ending in NUL */
    const char *place; /* where it mounts its file system (FUSE): an absolute path */
    const int *kept;   /* descriptors that it is given */
    size_t kept_count; /* at most MAX_KEPT, of watch.h */
};

/*
 * Start the program, in the namespaces that the caller has by now, and wait until it has mounted. The
 * caller then has no mount there; `command` is the mount instead, to be attached in another namespace, and
 * stays open when another program is executed.
 *
 * A process that belongs to nobody looks after the program. When a mount namespace is told, it kills all
 * that is in it as soon as the program ends: without its files a container cannot go on. The program
 * ends by itself when nothing has its file system mounted any more; it is killed when the caller ends
 * before it has told. Both keep none of the caller's other descriptors, and are deaf to the signals that are
 * meant for a whole job.
 *
 * Returns what watch_namespace() takes. Ends the caller when there is no mount within a minute, with what
 * the program wrote to standard error.
 */
int start_serving(const struct serve_request *request);

#endif
