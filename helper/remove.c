#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each level holds two descriptors, of which a job may have few. What lies deeper is moved up first. */
enum { DEEPEST = 12 };

/* The top folder, and how many were moved into it. */
struct top {
    int fd;
    unsigned long moved;
};

/* A folder, if nothing is mounted there: what is would be emptied, and is somebody else's. */
static int open_same_mount(int parent, const char *name)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const struct open_how how = {
        .flags = (uint64_t)flags,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
    };
    struct stat above, below;
    long fd = syscall(SYS_openat2, parent, name, &how, sizeof how);
    /* Where there is no such call, or a filter hides it, no container was started. What failed to is
     * removed all the same, as far as its file system goes. */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
    fd = openat(parent, name, flags);
    if (fd >= 0 && fstat(parent, &above) == 0 && fstat((int)fd, &below) == 0 &&
        above.st_dev == below.st_dev)
        return (int)fd;
    if (fd >= 0)
        close((int)fd);
    return -1;
}

/* A folder, opened to its owner: by its descriptor, for a name can become another's. */
static int open_up(int parent, const char *name)
{
    char path[64];
    struct stat stat;
    int folder = open_same_mount(parent, name);
    if (folder < 0)
        return -1;
    /* fchmod(2) does not take a descriptor that was opened for its path only. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
    if (fstat(folder, &stat) == 0 && (stat.st_mode & S_IRWXU) != S_IRWXU)
        chmod(path, S_IRWXU);
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(folder);
    return fd;
}

/* True when something was removed or moved away. */
static bool empty(struct top *top, int fd, int depth)
{
    bool is_changed = false;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        char place[32];
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (unlinkat(fd, name, 0) == 0 || unlinkat(fd, name, AT_REMOVEDIR) == 0) {
            is_changed = true;
            continue;
        }
        int below = open_up(fd, name);
        if (below < 0)
            continue;
        if (depth < DEEPEST) {
            is_changed |= empty(top, below, depth + 1);
        } else {
            snprintf(place, sizeof place, "moved.%lu", top->moved++);
            is_changed |= renameat(fd, name, top->fd, place) == 0;
        }
        close(below);
        is_changed |= unlinkat(fd, name, AT_REMOVEDIR) == 0;
    }
    closedir(dir);
    return is_changed;
}

void remove_tree(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%.*s", (int)(name - path), path);
    int parent = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct top top = { .fd = parent < 0 ? -1 : open_up(parent, name) };
    if (top.fd >= 0) {
        /* What was moved up, and what a reader of a changing folder was not shown, the next round finds. */
        while (empty(&top, top.fd, 0) && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno == ENOTEMPTY)
            lseek(top.fd, 0, SEEK_SET);
        unlinkat(parent, name, AT_REMOVEDIR);
        close(top.fd);
    }
    if (parent >= 0)
        close(parent);
}
