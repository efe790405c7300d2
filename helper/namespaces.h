/* Making and joining namespaces. */
#ifndef NAMESPACES_H
#define NAMESPACES_H

#include <sys/types.h>

/* Who somebody is. */
struct identity {
    uid_t uid;
    gid_t gid;
};

/* Make the namespaces of CLONE_NEW* flags; with a user namespace, the caller is `inside` in it, and
 * nobody else is anybody. Ends the program on failure. */
void make_namespaces(int flags, const struct identity *inside);

/* Join those of a process that are named by the flags and are not the caller's already. The process is
 * given by its folder in /proc, open. A process namespace is the one of its children, and only children
 * of this process get into it. Returns the flags of those that were joined; ends the program on
 * failure. */
int join_namespaces(int process, int flags);

/* Keep all capabilities of the namespace over execve(2). Ends the program on failure. */
void keep_capabilities(void);

/* Programs that are executed from here on gain no privileges. */
void gain_nothing(void);

/* Drop every capability, from all sets, the bounding set included. */
void drop_capabilities(void);

#endif
