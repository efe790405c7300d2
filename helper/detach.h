/* Taking mounts away again, see attach.h. */
#ifndef DETACH_H
#define DETACH_H

/* Take away a mount that this process attached, whoever uses it by now. */
void detach(int mount);

/* Unmount what is mounted on a name in a folder, which no link is followed for. Returns 0, or -1 with
 * errno: EBUSY while it is used, EINVAL when nothing is mounted there. */
int unmount(int folder, const char *name);

#endif
