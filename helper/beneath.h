/* Opening by descriptor, with nothing on the way that leads elsewhere. */
#ifndef BENEATH_H
#define BENEATH_H

/*
 * openat2(2) of a relative path: no symbolic link is followed, none of /proc either, and no ".."
 * leads out of the folder. The descriptor is closed on execve(2). Returns -1 with errno, which is
 * ELOOP for a symbolic link; ends the program on a kernel without the call.
 */
int open_beneath(int folder, const char *path, int flags);

/* The folder that paths begin at, for open_beneath; it stays open. */
int root_folder(void);

#endif
