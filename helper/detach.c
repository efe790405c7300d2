#include "detach.h"

#include "capability.h"
#include "refuse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { MOST = 64 }; /* mounts over one another */

void detach(int mount)
{
    char path[64];
    int done = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", mount);
    raise_capability();
    /* What was mounted over it meanwhile goes first: the lookup ends at the topmost mount. */
    for (int i = 0; done == 0 && i < MOST; i++)
        done = umount2(path, MNT_DETACH);
    lower_capability();
    /* EINVAL: it is not mounted any more. */
    if (done == 0 || errno != EINVAL)
        refuse("cannot take a mount away again: %s", strerror(done == 0 ? EBUSY : errno));
}

int unmount(int folder, const char *name)
{
    /* A descriptor of the mount itself would keep it busy. What is looked at before by descriptor can
     * be another mount by now, but in a folder of the caller's store only root and he put any. */
    if (fchdir(folder) < 0)
        return -1;
    raise_capability();
    int done = umount2(name, UMOUNT_NOFOLLOW);
    lower_capability();
    return done;
}
