#include "payload.h"

#include "report.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define TRAILER_SIZE 104
#define TEMPORARY "runtime.tmp."
#define LOCK "runtime.lock"

enum { LOCK_SECONDS = 60 };

static void damaged(const char *executable)
{
    fail("%s is damaged or incomplete: copy or install it again", executable);
}

static bool parse_line(struct payload *payload, char *line)
{
    if (line[0] == 'a' && line[1] == ' ') {
        if (payload->n_words == MAX_WORDS)
            return false;
        payload->words[payload->n_words++] = line + 2;
        return true;
    }
    long long offset, size;
    unsigned mode;
    int at = 0;
    if (payload->n_files == MAX_FILES ||
        sscanf(line, "f %o %lld %lld %n", &mode, &offset, &size, &at) != 3 || at == 0 ||
        offset < 0 || size < 0 || line[at] == '\0' || line[at] == '/' ||
        strstr(line + at, "..") != NULL)
        return false;
    payload->files[payload->n_files++] = (struct packed_file){
        .name = line + at, .offset = offset, .size = size, .mode = mode & 0755,
    };
    return true;
}

void read_payload(struct payload *payload, const char *executable)
{
    char trailer[TRAILER_SIZE + 1] = "";
    unsigned long long offset, size;
    payload->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (payload->fd < 0 || fstat(payload->fd, &stat) < 0)
        fail("cannot read %s: %s", executable, strerror(errno));
    if (pread(payload->fd, trailer, TRAILER_SIZE, stat.st_size - TRAILER_SIZE) != TRAILER_SIZE ||
        sscanf(trailer, "ENROOTP1%16llx%16llx%64[0-9a-f]", &offset, &size, payload->id) != 3 ||
        strlen(payload->id) != ID_LENGTH || size > 1 << 20 ||
        offset + size + TRAILER_SIZE != (unsigned long long)stat.st_size)
        damaged(executable);
    char *table = malloc(size + 1);
    if (table == NULL)
        fail("out of memory");
    if (pread(payload->fd, table, size, (off_t)offset) != (ssize_t)size)
        damaged(executable);
    table[size] = '\0';
    payload->n_files = payload->n_words = 0;
    for (char *line = table, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            damaged(executable);
        *end = '\0';
        if (!parse_line(payload, line))
            damaged(executable);
    }
    if (payload->n_words == 0)
        damaged(executable);
}

/* Whoever can write a folder decides what is executed from it. */
static const char *check_folder(int fd, bool by_root)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return strerror(errno);
    if (stat.st_uid != geteuid() && !(by_root && stat.st_uid == 0))
        return "it belongs to another user";
    if (stat.st_mode & (S_IWGRP | S_IWOTH))
        return "others may write it";
    struct statvfs fs;
    if (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOEXEC)
        return "programs may not be executed there (noexec)";
    return NULL;
}

static bool is_complete(const struct payload *payload, int folder)
{
    for (size_t i = 0; i < payload->n_files; i++) {
        const struct packed_file *file = &payload->files[i];
        struct stat stat;
        if (fstatat(folder, file->name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(stat.st_mode) || stat.st_size != file->size ||
            (stat.st_mode & 0777) != file->mode)
            return false;
    }
    return true;
}

const char *find_unpacked(const struct payload *payload, const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    const char *why = check_folder(fd, true);
    if (why == NULL && !is_complete(payload, fd))
        why = "it holds another version";
    close(fd);
    return why;
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

/* Whoever holds the lock is alone: every temporary folder is a dead process's. */
static void tidy(int base)
{
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
            remove_folder(base, entry->d_name, 8);
    closedir(dir);
}

static bool make_parents(int folder, const char *name)
{
    char path[PATH_MAX];
    for (const char *slash = name; (slash = strchr(slash, '/')) != NULL; slash++) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        if (mkdirat(folder, path, 0700) < 0 && errno != EEXIST)
            return false;
    }
    return true;
}

static bool write_file(const struct payload *payload, int folder, const struct packed_file *file)
{
    if (!make_parents(folder, file->name))
        return false;
    int fd = openat(folder, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    off_t from = file->offset;
    for (off_t left = file->size; left > 0;) {
        ssize_t sent = sendfile(fd, payload->fd, &from, left > 1 << 30 ? 1 << 30 : (size_t)left);
        if (sent <= 0) {
            if (sent == 0)
                errno = EIO;
            close(fd);
            return false;
        }
        left -= sent;
    }
    bool ok = fchmod(fd, file->mode) == 0;
    return close(fd) == 0 && ok;
}

static bool write_all(const struct payload *payload, int base, const char *name)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, TEMPORARY "%d", (int)getpid());
    remove_folder(base, temporary, 8);
    int fd = -1;
    bool ok = mkdirat(base, temporary, 0700) == 0 &&
              (fd = openat(base, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0;
    for (size_t i = 0; ok && i < payload->n_files; i++)
        ok = write_file(payload, fd, &payload->files[i]);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (ok) {
        ok = renameat(base, temporary, base, name) == 0;
        reason = errno;
    }
    if (!ok)
        remove_folder(base, temporary, 8);
    errno = reason;
    return ok;
}

/* A lock that is waited for, but not for ever; without locks each process works by itself. */
static int lock(int base)
{
    int fd = openat(base, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    for (int tenths = 0; fd >= 0 && tenths < LOCK_SECONDS * 10; tenths++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_there(const struct payload *payload, int base, const char *name)
{
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = check_folder(fd, false) == NULL && is_complete(payload, fd);
    close(fd);
    return ok;
}

static const char *make(const struct payload *payload, int base, const char *name)
{
    int held = lock(base);
    const char *why = NULL;
    if (!is_there(payload, base, name)) {
        if (held >= 0) {
            tidy(base);
            remove_folder(base, name, 8);
        }
        if (!write_all(payload, base, name) && !is_there(payload, base, name))
            why = strerror(errno);
    }
    if (held >= 0)
        close(held);
    return why;
}

static int open_base(const char *path)
{
    char partial[PATH_MAX];
    if (path[0] != '/' || strlen(path) >= sizeof partial) {
        errno = EINVAL;
        return -1;
    }
    for (const char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        snprintf(partial, sizeof partial, "%.*s", (int)(slash - path), path);
        if (mkdir(partial, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return -1;
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

const char *unpack(const struct payload *payload, const char *base, char *path, size_t size)
{
    char name[64];
    snprintf(name, sizeof name, "runtime-%.32s", payload->id);
    if (snprintf(path, size, "%s/%s", base, name) >= (int)size)
        return strerror(ENAMETOOLONG);
    int fd = open_base(base);
    if (fd < 0)
        return strerror(errno);
    const char *why = check_folder(fd, false);
    if (why == NULL && !is_there(payload, fd, name))
        why = make(payload, fd, name);
    close(fd);
    return why;
}
