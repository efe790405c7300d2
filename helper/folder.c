#include "folder.h"

#include "report.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY "tmp."
#define LOCK "lock"

/* Not in linux/magic.h: file systems that live outside of the kernel's tree, or too new for it. */
#define ZFS_MAGIC 0x2fc12fc1
#define BCACHEFS_MAGIC 0xca451a4e

enum {
    NAME_LENGTH = 32, /* of the content id, enough to name it */
    LOCK_SECONDS = 60,
    DAY = 24 * 60 * 60,
    DEEPEST = 64,
    NOEXEC = 0x8, /* of statfs(2) */
    NOBODY = 65534, /* the owner of what belongs to nobody in this user namespace, as root's / there */
};

static bool is_local(const struct statfs *fs)
{
    static const unsigned long kinds[] = {
        EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC,
        RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC, ZFS_MAGIC, BCACHEFS_MAGIC,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((unsigned long)fs->f_type == kinds[i])
            return true;
    return false;
}

/* A folder of ours, or below it. */
static const char *check_ours(int fd, bool by_root)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return strerror(errno);
    if (stat.st_uid != geteuid() && !(by_root && stat.st_uid == 0))
        return "it belongs to another user";
    if (stat.st_mode & (S_IWGRP | S_IWOTH))
        return "others may write to it";
    return NULL;
}

const char *check_way(int start)
{
    int fd = openat(start, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *why = NULL;
    struct stat stat, below = { 0 };
    for (int level = 0; why == NULL; level++) {
        if (fd < 0 || fstat(fd, &stat) < 0 || level == DEEPEST) {
            why = strerror(fd < 0 ? errno : ELOOP);
            break;
        }
        if (level > 0 && stat.st_dev == below.st_dev && stat.st_ino == below.st_ino)
            break;
        /* Where every user has a group of his own, or the umask shares everything with one, what the
         * caller's own group may do is as he wants it. */
        bool is_shared = (stat.st_mode & S_IWOTH) ||
                         ((stat.st_mode & S_IWGRP) && stat.st_gid != getegid());
        if (stat.st_uid != geteuid() && stat.st_uid != 0 && stat.st_uid != NOBODY)
            why = "a folder on the way belongs to another user";
        else if (is_shared && !(stat.st_mode & S_ISVTX))
            why = "others may write to a folder on the way";
        below = stat;
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = up;
    }
    if (fd >= 0)
        close(fd);
    return why;
}

const char *real_path(int fd, char path[PATH_MAX])
{
    char link[64];
    struct stat meant, found;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length == PATH_MAX)
        return strerror(ENAMETOOLONG);
    if (length < 0)
        return strerror(errno);
    path[length] = '\0';
    /* The kernel has words in the place of a path for what is out of reach or gone. */
    if (path[0] != '/' || fstat(fd, &meant) < 0 || stat(path, &found) < 0 ||
        meant.st_dev != found.st_dev || meant.st_ino != found.st_ino)
        return "it has no path";
    return NULL;
}

/* Remove a folder of ours with what is in it: files, and folders of files. */
static void remove_folder(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        unlinkat(parent, name, 0);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) < 0 && depth > 0)
            remove_folder(fd, entry->d_name, depth - 1);
    }
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* An earlier version that no call has used for long, see mark_used. */
static bool is_forgotten(int place, const char *name)
{
    struct stat stat;
    return strspn(name, "0123456789abcdef") == NAME_LENGTH && name[NAME_LENGTH] == '\0' &&
           fstatat(place, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
           stat.st_mtime < time(NULL) - 30 * DAY;
}

/* Whoever holds the lock is alone: every temporary folder is a dead process's. */
static void tidy(int place)
{
    int fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0 ||
            is_forgotten(place, entry->d_name))
            remove_folder(place, entry->d_name, 8);
    closedir(dir);
}

static void mark_used(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) == 0 && stat.st_mtime < time(NULL) - DAY)
        futimens(fd, NULL);
}

/* A lock that is waited for, but not for ever; without locks each process works by itself. */
static int lock(int place)
{
    int fd = openat(place, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    for (int hundredths = 0; fd >= 0 && hundredths < LOCK_SECONDS * 100; hundredths++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool write_all(const struct payload *payload, int place, const char *name)
{
    /* Process ids are no names: another machine may share the place. */
    unsigned long long random;
    char temporary[64];
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(temporary, sizeof temporary, TEMPORARY "%016llx", random);
    if (mkdirat(place, temporary, 0700) < 0)
        return false;
    int fd = openat(place, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && write_files(payload, fd) && renameat(place, temporary, place, name) == 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        remove_folder(place, temporary, 8);
    errno = reason;
    return ok;
}

/* The payload in a place, whole: a descriptor, or -1. */
static int open_unpacked(const struct payload *payload, int place, const char *name, bool by_root)
{
    int fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && check_ours(fd, by_root) == NULL && is_complete(payload, fd))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int make(const struct payload *payload, int place, const char *name, const char **why)
{
    int held = lock(place);
    int fd = open_unpacked(payload, place, name, false);
    if (fd < 0) {
        if (held >= 0) {
            tidy(place);
            remove_folder(place, name, 8);
        }
        bool ok = write_all(payload, place, name);
        int reason = errno;
        /* Another process may have been faster where there are no locks. */
        fd = open_unpacked(payload, place, name, false);
        if (fd < 0)
            *why = ok ? "it was changed at once" : strerror(reason);
    }
    if (held >= 0)
        close(held);
    return fd;
}

static void make_folders(const char *path)
{
    char part[PATH_MAX];
    for (const char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0700);
    }
    /* What was not possible shows when it is opened. */
    mkdir(path, 0700);
}

/* Our folder of a place: a descriptor, or -1. */
static int open_place(const struct place *place, const char **why)
{
    int parent = open(place->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 && errno == ENOENT && place->make_parent) {
        make_folders(place->parent);
        parent = open(place->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (parent < 0) {
        *why = strerror(errno);
        return -1;
    }
    int fd = -1;
    *why = check_way(parent);
    if (*why == NULL) {
        fd = openat(parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && (mkdirat(parent, place->name, 0700) == 0 || errno == EEXIST))
            fd = openat(parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        *why = fd < 0 ? strerror(errno) : check_ours(fd, false);
    }
    close(parent);
    if (*why != NULL && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The runtime executes what it reads there. */
static bool has_cache(int fd)
{
    struct stat stat;
    return fstatat(fd, CACHE, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode) &&
           (stat.st_uid == 0 || stat.st_uid == geteuid()) &&
           (stat.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whoever makes the folder that it is filled in fills the cache. One that has not come to its end in this
 * many seconds was killed. */
static bool claim_cache(int fd)
{
    const time_t patience = 120;
    struct stat stat;
    if (mkdirat(fd, NEW_CACHE, 0700) == 0)
        return true;
    if (errno != EEXIST || fstatat(fd, NEW_CACHE, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return time(NULL) - stat.st_mtime > patience &&
           utimensat(fd, NEW_CACHE, NULL, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *describe(int fd, struct folder *folder, bool is_package)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return strerror(errno);
    const char *why = real_path(fd, folder->path);
    if (why != NULL)
        return why;
    folder->is_noexec = ((unsigned long)fs.f_flags & NOEXEC) != 0;
    /* The runtime takes dozens of locks at each start: not over a network. */
    folder->is_warm = is_local(&fs) && has_cache(fd);
    /* A package's files stay as they were installed. */
    folder->is_claimed = !is_package && is_local(&fs) && !folder->is_noexec && !folder->is_warm &&
                         claim_cache(fd);
    return NULL;
}

const char *unpack(const struct payload *payload, const struct place *place, struct folder *folder)
{
    char name[NAME_LENGTH + 1];
    const char *why;
    snprintf(name, sizeof name, "%.*s", NAME_LENGTH, payload->id);
    int ours = open_place(place, &why);
    if (ours < 0)
        return why;
    int fd = open_unpacked(payload, ours, name, false);
    if (fd < 0)
        fd = make(payload, ours, name, &why);
    close(ours);
    if (fd < 0)
        return why;
    mark_used(fd);
    why = describe(fd, folder, false);
    close(fd);
    return why;
}

bool find_unpacked(const struct payload *payload, const char *parent, struct folder *folder)
{
    if (snprintf(folder->path, sizeof folder->path, "%s/%.*s", parent, NAME_LENGTH, payload->id) >=
        (int)sizeof folder->path)
        return false;
    int fd = open_unpacked(payload, AT_FDCWD, folder->path, true);
    if (fd < 0)
        return false;
    bool is_there = check_way(fd) == NULL && describe(fd, folder, true) == NULL;
    close(fd);
    return is_there;
}
