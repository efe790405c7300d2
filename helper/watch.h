/* Watching a mount namespace from outside, to clean up behind it. */
#ifndef ENROOT_WATCH_H
#define ENROOT_WATCH_H

#include <stddef.h>

enum { MAX_KEPT = 16 };

/* What the watcher is given. */
struct watch_request {
    int command;        /* a file with the arguments of what it runs at the end, each ending in NUL */
    int kept[MAX_KEPT]; /* descriptors that it, and what it runs, keep open: locks */
    size_t kept_count;
};

/*
 * Start a watcher: a process that belongs to nobody, in the namespaces of the caller, with none of its
 * descriptors but those it is to keep. It waits until the process that called this has ended and
 * nothing is left in the mount namespace that it is told of, and then runs its command.
 *
 * The command's file and the kept descriptors close in the caller when it executes another program.
 * Returns what watch_namespace() takes.
 */
int start_watcher(const struct watch_request *request);

/* Tell the watcher that this process's mount namespace is the one. */
void watch_namespace(int watcher);

#endif
