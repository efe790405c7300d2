/* A process whose namespaces are joined. */
#ifndef TARGET_H
#define TARGET_H

#include <stdint.h>
#include <sys/types.h>

/* What is taken from it beside its namespaces. */
struct likeness {
    int root, workdir;
    uint64_t bounding; /* capabilities that it could ever have */
};

/* The folder of a process in /proc: whatever is opened in it is of that process, or of none. Ends the
 * program on failure. */
int open_target(pid_t pid);

/* Read its likeness, before anything of it is joined. Ends the program on failure. */
void read_likeness(int process, struct likeness *likeness);

/* Take its root and working directory, in its namespaces already. Ends the program on failure. */
void take_place(const struct likeness *likeness);

/* Have no capability, now or later, that it could not have. Ends the program on failure. */
void take_limits(const struct likeness *likeness);

#endif
