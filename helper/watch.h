/* Watching a mount namespace from outside, to clean up behind it. */
#ifndef ENROOT_WATCH_H
#define ENROOT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A namespace as stat(2) tells it from others. */
struct namespace_id {
    dev_t device;
    ino_t inode;
};

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

/* Go on as a process that is nobody's child: true there, false in the caller, which would not expect
 * one. Ends the caller on failure. */
bool detach_process(void);

/* The mount namespace of this process; false when it cannot be looked at. */
bool own_namespace(struct namespace_id *id);

/* When a process was started, in ticks since the system was; 0 when it has ended. */
unsigned long long start_time(pid_t pid);

/* Kill all that is in a mount namespace but this process, until nothing is.
 *
 * since: when the first that can be in it was started */
void end_members(const struct namespace_id *namespace, unsigned long long since);

/* Be deaf to all signals but SIGKILL and faults of its own, as is then what this process starts: Slurm
 * sends a job's signals to each process of it, and what cleans up must outlast the job. */
void ignore_signals(void);

/* Execute what a file says, arguments that end in NUL. The file is closed. */
_Noreturn void run_command(int file);

#endif
