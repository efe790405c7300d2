#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each level holds a descriptor. What lies deeper is moved up first. */
enum { DEEPEST = 32 };

/* The top folder, and how many were moved into it. */
struct top {
    int fd;
    unsigned long moved;
};

static int open_up(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat stat;
    /* Not by its name where it is no folder: that would change what a link leads to. */
    if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(stat.st_mode))
        return -1;
    if ((stat.st_mode & S_IRWXU) != S_IRWXU)
        fchmodat(parent, name, S_IRWXU, 0);
    return openat(parent, name, flags);
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
    struct top top = { .fd = open_up(AT_FDCWD, path) };
    if (top.fd < 0)
        return;
    /* What was moved up, and what a reader of a changing folder was not shown, the next round finds. */
    while (empty(&top, top.fd, 0) && rmdir(path) < 0 && errno == ENOTEMPTY)
        lseek(top.fd, 0, SEEK_SET);
    rmdir(path);
    close(top.fd);
}
