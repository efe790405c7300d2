#include "snapshots.h"

#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whether the ZFS of this kernel knows `snapdir=disabled`; one that says nothing does. */
static bool has_remedy(void)
{
    unsigned major = 0, minor = 0;
    FILE *file = fopen("/sys/module/zfs/version", "re");
    if (file == NULL)
        return true;
    bool is_known = fscanf(file, "%u.%u", &major, &minor) == 2;
    fclose(file);
    return !is_known || major > 2 || (major == 2 && minor >= 3);
}

void check_snapshots(int mount, const char *dataset, const char *store, bool is_lent)
{
    /* To look it up mounts nothing. That the folder may not be searched is no proof: it is the caller's. */
    int folder = openat(mount, ".zfs", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 && errno == ENOENT)
        return;
    int reason = folder < 0 ? errno : 0;
    if (folder >= 0)
        close(folder);
    if (reason != 0)
        refuse("cannot see whether the snapshots of %s can be entered: %s", dataset, strerror(reason));
    if (has_remedy() || is_lent)
        refuse("the snapshots of %s can be entered through .zfs, where set-id programs and devices "
               "work: as root, run: zfs set snapdir=disabled %s", dataset, store);
}
