/*
 * enroot-zfs-mount: mount a dataset of the caller's store where its name says, or unmount it.
 *
 * It is the one program with a capability, as mount(2) takes one whatever `zfs allow` says; mounting
 * asks for no permission of ZFS in return, so all that stands between users is decided here:
 *
 * - The store is the dataset mounted at ENROOT_DATA_PATH of the system's configuration, and belongs to
 *   the owner of its root folder. Only what is below it is mounted or unmounted, for him and for root.
 * - The mount point follows from the dataset's name, never from a property, and is reached by
 *   descriptors, without following links. It must be the caller's own.
 * - What is mounted must have a root folder of the caller's own, which is seen before it is attached,
 *   and is mounted nosuid,nodev.
 * - Or it is a clone of a template of root's, where the configuration has ENROOT_TEMPLATE_STORE: then
 *   root's files in it are shown as the caller's, and of nobody else's.
 *
 * A clone is known by an attribute of its root folder, which is root's. ZFS could tell its origin, but
 * only to a program that speaks the ioctls of one version or runs others. The attribute does as well,
 * as what matters is whose content it is that becomes the caller's. Only root sets it, and only on
 * templates. A user gets it into his store by a clone, for which he needs to be allowed `clone` where
 * the template is; or in a stream that he receives, be it made up: then the content is what he brought.
 * What root makes in a user's store of other images is without it, and stays root's. Another user's container, which
 * has it too, is not below the caller's store, and cannot be brought there without being allowed to
 * send, clone or rename it. Nor does it help to have changed the clone: through the mount the caller is
 * no more than the owner of its files, nosuid,nodev as everywhere; and snapshots, which the kernel mounts
 * by other rules, are out of reach: snapshots.h.
 */
#include "attach.h"
#include "capability.h"
#include "detach.h"
#include "idmap.h"
#include "refuse.h"
#include "snapshots.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    ATTEMPTS = 16,
    BUSY_SECONDS = 10,
    IN_USE_SECONDS = 1,
    FIRST_USER_NAMESPACE = (int)0xeffffffdU, /* PROC_USER_INIT_INO of linux/proc_ns.h */
};

/* Nothing of the caller's process steers this one. */
static void settle_process(void)
{
    struct stat status;
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;

    put_capabilities_aside();
    /* A message must not end up in a file that is opened later under one of these numbers. */
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(1);
    /* Nobody gets at the descriptors through /proc or ptrace(2). */
    if (clearenv() != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        refuse("cannot settle the process");
    umask(077);

    if (getresuid(&real, &effective, &saved) < 0 ||
        getresgid(&real_group, &effective_group, &saved_group) < 0)
        refuse("cannot tell whose process this is: %s", strerror(errno));
    if (real != effective || real != saved || real_group != effective_group ||
        real_group != saved_group)
        refuse("the real and effective ids differ: this program needs a capability, not a set-id bit");
    /* In there ids mean other users, and the kernel mounts no file system of the host's. */
    if (stat("/proc/self/ns/user", &status) < 0)
        refuse("cannot look at /proc/self/ns/user: %s: is /proc mounted?", strerror(errno));
    if (status.st_ino != (ino_t)(unsigned)FIRST_USER_NAMESPACE)
        refuse("this is inside a user namespace, where no dataset can be mounted: run it outside");
}

/* Wait before another attempt; false when it took long enough. */
static bool wait_a_moment(unsigned *n_waits, unsigned seconds)
{
    if (*n_waits == seconds * 50)
        return false;
    ++*n_waits;
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    return true;
}

/* Whether a new mount is where it should be: right on the folder, under the path that the name says.
 * Another call may have been faster, or the folder moved. A rename that is just under way is not seen;
 * it takes the mount no further than the store's own folders, and they are the caller's. */
static bool is_in_place(int mount, const struct place *place)
{
    static struct mount found;
    return find_mount(mount_id(mount), &found) == 1 && found.parent == place->parent_mount &&
           strcmp(found.point, place->path) == 0;
}

/* Attach a mount, or leave everything as it was: whether it is attached. */
static bool attach_in_place(int mount, const struct place *place)
{
    sigset_t all, before;
    /* A signal should not come between; SIGKILL may, and leaves a mount that --unmount takes away. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    if (attach(mount, place->top) < 0)
        refuse("cannot attach the mount to %s: %s", place->path, strerror(errno));
    bool is_right = is_in_place(mount, place);
    if (!is_right)
        detach(mount);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return is_right;
}

/* What is the same for all of a call. */
struct call {
    uid_t uid;
    struct store_config config;
    struct store store;
    struct dataset dataset;
};

/* Whether a folder is the root of a template's clone, which is to be the caller's: there is nobody else's
 * below his store. Root sees everything as it is. */
static bool is_lent(int folder, const struct call *call)
{
    const char *templates = call->config.templates, *store = call->store.dataset;
    size_t length = strlen(templates);
    /* Of stores within it nobody could say whose clones are whose: `clone` is allowed to all there. */
    bool is_within = strncmp(store, templates, length) == 0 &&
                     (store[length] == '\0' || store[length] == '/');
    return call->uid != 0 && length > 0 && !is_within && is_template(folder);
}

static void mount_dataset(const struct call *call)
{
    const struct dataset *dataset = &call->dataset;
    unsigned n_waits = 0;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct place place;
        enum found found = find_place(&call->store, dataset, &place);
        if (found == CHANGED)
            continue;
        if (found == ABSENT)
            refuse("the mount point %s is not there: make it first", place.path);
        if (place.is_mounted)
            return;
        check_owner(place.top, call->uid, place.path,
                    "only a folder of your own can be a mount point for you");
        int mount = open_dataset(dataset->name);
        if (mount < 0) {
            leave_place(&place);
            if (!wait_a_moment(&n_waits, BUSY_SECONDS))
                refuse("%s is busy: it is being received, rolled back or destroyed, or it is mounted "
                       "read-only elsewhere", dataset->name);
            i--;
            continue;
        }
        bool lent = is_lent(mount, call);
        if (lent)
            show_as(mount, call->uid, getgid(), dataset->name);
        check_owner(mount, call->uid, "the root folder of that dataset",
                    "only a dataset whose root folder is your own is mounted for you");
        if (call->uid != 0)
            check_snapshots(mount, dataset->name, call->store.dataset, lent);
        bool done = attach_in_place(mount, &place);
        close(mount);
        leave_place(&place);
        if (done)
            return;
    }
    refuse("the mounts around %s keep changing: try again", dataset->name);
}

/* Whether only the dataset is mounted at a place, several times perhaps, and nothing below it. */
static bool is_alone(const struct place *place, const struct dataset *dataset, unsigned *depth)
{
    static struct mount mount;
    uint64_t id = place->top_mount;
    for (*depth = 0; id != place->parent_mount; id = mount.parent, ++*depth)
        if (find_mount(id, &mount) != 1 || strcmp(mount.dataset, dataset->name) != 0 ||
            strcmp(mount.point, place->path) != 0)
            return false;
    return true;
}

static void unmount_dataset(const struct call *call)
{
    const struct dataset *dataset = &call->dataset;
    if (dataset->n_parts == 0)
        refuse("%s is the store itself: that is root's to unmount, with zfs unmount", dataset->name);
    unsigned n_waits = 0;
    bool alone = true;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct place place;
        unsigned depth;
        enum found found = find_place(&call->store, dataset, &place);
        if (found == CHANGED)
            continue;
        if (found == ABSENT || !place.is_mounted)
            return;
        /* Root may have mounted a clone as it is. */
        if (!is_lent(place.top, call))
            check_owner(place.top, call->uid, place.path,
                        "only a dataset whose root folder is your own is unmounted for you");
        alone = is_alone(&place, dataset, &depth);
        close(place.top);
        place.top = -1;
        int done = alone ? unmount(place.parent, place.name) : -1;
        int reason = alone && done < 0 ? errno : 0;
        leave_place(&place);
        if (done == 0 && depth == 1)
            return;
        if (reason == EBUSY) {
            /* A process that only looks, as this one did, is soon gone. */
            if (!wait_a_moment(&n_waits, IN_USE_SECONDS))
                refuse("%s is in use by a process: it cannot be unmounted", place.path);
            i--;
        } else if (reason != 0 && reason != EINVAL) {
            refuse("cannot unmount %s: %s", place.path, strerror(reason));
        }
    }
    if (!alone)
        refuse("%s is mounted over something else: that is root's to unmount", dataset->name);
    refuse("the mounts around %s keep changing: try again", dataset->name);
}

int main(int argc, char **argv)
{
    static struct call call;

    settle_process();
    bool is_unmount = argc == 3 && strcmp(argv[1], "--unmount") == 0;
    const char *name = argc == 2 || is_unmount ? argv[argc - 1] : "-";
    if (name[0] == '-' || name[0] == '\0')
        refuse("usage: enroot-zfs-mount [--unmount] DATASET");

    call.uid = getuid();
    read_store_config(call.uid, &call.config);
    find_store(&call.config.data_path, call.uid, &call.store);
    parse_dataset(name, call.store.dataset, &call.dataset);
    if (is_unmount)
        unmount_dataset(&call);
    else if (call.dataset.n_parts > 0)
        mount_dataset(&call);
    return 0;
}
