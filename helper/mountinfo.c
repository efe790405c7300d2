#include "mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Undo the kernel's \ooo in a field; false when it does not fit. */
static bool unescape(const char *field, char *text, size_t size)
{
    size_t length = 0;
    for (; *field != '\0'; field++) {
        char byte = *field;
        if (byte == '\\' && strspn(field + 1, "01234567") >= 3) {
            byte = (char)((field[1] - '0') * 64 + (field[2] - '0') * 8 + (field[3] - '0'));
            field += 3;
        }
        if (length + 1 >= size)
            return false;
        text[length++] = byte;
    }
    text[length] = '\0';
    return true;
}

/* 36 35 98:0 /root /point options [optional ...] - type source options */
static bool parse_line(char *line, struct mount *mount)
{
    enum { ID, PARENT, DEVICE, ROOT, POINT, OPTIONS, N };
    char *fields[N];
    for (int i = 0; i < N; i++)
        if ((fields[i] = strsep(&line, " ")) == NULL)
            return false;
    /* None of the fields before holds a space of its own. */
    char *mark;
    while ((mark = strsep(&line, " ")) != NULL && strcmp(mark, "-") != 0)
        ;
    char *type = strsep(&line, " ");
    char *source = strsep(&line, " ");
    if (type == NULL || source == NULL)
        return false;
    mount->id = strtoull(fields[ID], NULL, 10);
    mount->parent = strtoull(fields[PARENT], NULL, 10);
    if (!unescape(fields[POINT], mount->point, sizeof mount->point))
        mount->point[0] = '\0';
    if (strcmp(type, "zfs") != 0 || strcmp(fields[ROOT], "/") != 0 || strchr(source, '@') != NULL ||
        !unescape(source, mount->dataset, sizeof mount->dataset))
        mount->dataset[0] = '\0';
    return true;
}

static FILE *open_table(void)
{
    struct statfs fs;
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    /* Nobody but the administrator could put something else there, who may have done so in a chroot. */
    if (fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
        return fdopen(fd, "r");
    close(fd);
    errno = ENODEV;
    return NULL;
}

int search_mounts(bool (*is_it)(const struct mount *, void *), void *context)
{
    static struct mount mount;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *table = open_table();
    if (table == NULL)
        return -1;
    errno = 0;
    while (!found && getline(&line, &size, table) >= 0)
        found = parse_line(line, &mount) && is_it(&mount, context);
    /* getline also ends where there is no memory, which is no end of the file. */
    int reason = feof(table) ? 0 : errno != 0 ? errno : EIO;
    free(line);
    fclose(table);
    errno = reason;
    return found ? 1 : reason == 0 ? 0 : -1;
}

struct search {
    uint64_t id;
    struct mount *mount;
};

static bool has_id(const struct mount *mount, void *context)
{
    const struct search *search = context;
    if (mount->id != search->id)
        return false;
    *search->mount = *mount;
    return true;
}

int find_mount(uint64_t id, struct mount *mount)
{
    struct search search = { id, mount };
    return search_mounts(has_id, &search);
}

uint64_t mount_id(int fd)
{
    struct statx status;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 ||
        (status.stx_mask & STATX_MNT_ID) == 0)
        return 0;
    return status.stx_mnt_id;
}
