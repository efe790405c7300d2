/* The calls that need the capability: it is raised around them, and nowhere else. */
#ifndef ATTACH_H
#define ATTACH_H

/*
 * Mount a dataset nosuid,nodev where nobody sees it: the mount goes away with its descriptor, however
 * this process ends. Returns -1 while ZFS has it busy, as it is when somebody else mounts or unmounts
 * it; ends the program, saying why, when it cannot be mounted at all.
 */
int open_dataset(const char *dataset);

/* Attach such a mount to a folder. Returns 0, or -1 with errno. */
int attach(int mount, int folder);

#endif
