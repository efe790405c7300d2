#include "store.h"

#include "beneath.h"
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Not in linux/magic.h. */
#define ZFS_MAGIC 0x2fc12fc1

enum { FOLDER = O_PATH | O_DIRECTORY };

static uid_t owner_of(int fd, const char *what)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        refuse("cannot look at %s: %s", what, strerror(errno));
    return status.st_uid;
}

void check_owner(int fd, uid_t uid, const char *what, const char *rule)
{
    uid_t owner = owner_of(fd, what);
    if (owner != uid && uid != 0)
        refuse("%s belongs to uid %u: %s", what, (unsigned)owner, rule);
}

/* A folder by its absolute path. */
static int open_path(const char *path)
{
    return open_beneath(root_folder(), path + 1, FOLDER);
}

struct search {
    const struct data_path *data_path;
    uid_t uid;
    struct store *store;
    unsigned n_found;
};

static bool matches(const struct data_path *data_path, const char *point)
{
    if (!data_path->has_any)
        return strcmp(point, data_path->path) == 0;
    size_t length = strlen(data_path->path);
    if (strncmp(point, data_path->path, length) != 0 || point[length] == '/')
        return false;
    const char *rest = point + length + strcspn(point + length, "/");
    return rest > point + length && strcmp(rest, data_path->rest) == 0;
}

/* Whether the part of any name is a folder of the caller's own. */
static bool owns_part(const struct search *search, const char *point)
{
    char path[PATH_MAX];
    struct stat status;
    size_t length = strlen(search->data_path->path);
    length += strcspn(point + length, "/");
    memcpy(path, point, length);
    path[length] = '\0';
    int fd = open_path(path);
    bool owns = fd >= 0 && fstat(fd, &status) == 0 && status.st_uid == search->uid;
    if (fd >= 0)
        close(fd);
    return owns;
}

/* Take the mount as the store if it can be one; all are looked at. */
static bool consider(const struct mount *mount, void *context)
{
    struct search *search = context;
    struct store *store = search->store;
    struct statfs fs;
    if (mount->dataset[0] == '\0' || !matches(search->data_path, mount->point))
        return false;
    if (search->data_path->has_any && !owns_part(search, mount->point))
        return false;
    int fd = open_path(mount->point);
    /* Another id: it is hidden below another mount. */
    if (fd < 0 || mount_id(fd) != mount->id || fstatfs(fd, &fs) < 0 || fs.f_type != ZFS_MAGIC) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (search->n_found++ > 0) {
        close(fd);
        return true;
    }
    store->fd = fd;
    store->mount = mount->id;
    memcpy(store->path, mount->point, sizeof store->path);
    memcpy(store->dataset, mount->dataset, sizeof store->dataset);
    return false;
}

/* Why there is no store, with what can be seen. */
static _Noreturn void refuse_without(const struct data_path *data_path)
{
    if (data_path->has_any)
        refuse("no dataset is mounted at a path %s (%s) whose ${USER} is a folder of yours: the store is "
               "the dataset mounted there", data_path->text, data_path->origin);
    int fd = open_path(data_path->path);
    if (fd < 0 && errno == ELOOP)
        refuse("%s (%s) leads through a symbolic link: the store is opened without following any",
               data_path->text, data_path->origin);
    if (fd < 0)
        refuse("cannot open %s (%s): %s", data_path->text, data_path->origin, strerror(errno));
    if (mount_id(fd) == 0)
        refuse("this kernel does not tell the ids of mounts: Linux 5.8 or newer is needed");
    refuse("no dataset is mounted at %s (%s): the store is the dataset mounted there", data_path->text,
           data_path->origin);
}

void find_store(const struct data_path *data_path, uid_t uid, struct store *store)
{
    struct search search = { data_path, uid, store, 0 };
    if (search_mounts(consider, &search) < 0)
        refuse("cannot read /proc/self/mountinfo: %s", strerror(errno));
    if (search.n_found == 0)
        refuse_without(data_path);
    if (search.n_found > 1)
        refuse("more than one dataset is mounted at a path %s (%s) whose ${USER} is a folder of yours: "
               "as root, use ${UID} in its place", data_path->text, data_path->origin);
    check_owner(store->fd, uid, store->path,
                "a store belongs to the owner of its root folder, and is for nobody else but root");
}

/* Whether a mount is the one of a dataset: 1, 0, or -1 when it went away. */
static int is_mount_of(uint64_t id, const char *dataset, size_t length)
{
    struct mount mount;
    int found = find_mount(id, &mount);
    if (found < 0)
        refuse("cannot read /proc/self/mountinfo: %s", strerror(errno));
    if (found == 0)
        return -1;
    return strlen(mount.dataset) == length && strncmp(mount.dataset, dataset, length) == 0;
}

/* One step: from the place's top to what is called so in it. */
static enum found step(struct place *place, const char *name, const char *dataset, size_t length)
{
    size_t end = strlen(place->path);
    if (snprintf(place->path + end, sizeof place->path - end, "/%s", name) >=
        (int)(sizeof place->path - end))
        refuse("the mount point of %s is too long a path", dataset);
    if (place->parent >= 0)
        close(place->parent);
    place->parent = place->top;
    place->parent_mount = place->top_mount;
    place->name = name;
    place->top = open_beneath(place->parent, name, FOLDER);
    if (place->top < 0 && errno == ENOENT)
        return ABSENT;
    if (place->top < 0 && errno == ELOOP)
        refuse("%s is a symbolic link: no mount point is reached by following one", place->path);
    if (place->top < 0)
        refuse("cannot open %s: %s", place->path, strerror(errno));
    place->top_mount = mount_id(place->top);
    place->is_mounted = place->top_mount != place->parent_mount;
    if (!place->is_mounted)
        return FOUND;
    int is_own = is_mount_of(place->top_mount, dataset, length);
    if (is_own == 0)
        refuse("something else is mounted at %s: only %.*s may be", place->path, (int)length, dataset);
    return is_own < 0 ? CHANGED : FOUND;
}

enum found find_place(const struct store *store, const struct dataset *dataset, struct place *place)
{
    enum found found = FOUND;
    *place = (struct place){ .parent = -1, .top_mount = store->mount };
    memcpy(place->path, store->path, sizeof place->path);
    place->top = open_beneath(store->fd, ".", FOLDER);
    if (place->top < 0)
        refuse("cannot open %s: %s", store->path, strerror(errno));
    for (size_t i = 0; found == FOUND && i < dataset->n_parts; i++)
        found = step(place, dataset->parts[i].folder, dataset->name, dataset->parts[i].end);
    if (found != FOUND)
        leave_place(place);
    return found;
}

void leave_place(struct place *place)
{
    if (place->parent >= 0)
        close(place->parent);
    if (place->top >= 0)
        close(place->top);
    place->parent = place->top = -1;
}
