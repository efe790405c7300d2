#include "idmap.h"

#include "capability.h"
#include "descriptors.h"
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MARK "trusted.enroot.template"

enum { PATIENCE = 10000 }; /* milliseconds that two writes into /proc may take */

bool is_template(int folder)
{
    char path[64];
    struct stat status;
    if (fstat(folder, &status) < 0 || status.st_uid != 0 || status.st_gid != 0)
        return false;
    /* By its path, as the descriptor of a mount is no open file; trusted attributes are seen with the
     * capability alone. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
    raise_capability();
    ssize_t length = getxattr(path, MARK, NULL, 0);
    lower_capability();
    return length > 0;
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = (ssize_t)strlen(text);
    bool done = write(fd, text, (size_t)length) == length;
    return close(fd) == 0 && done;
}

/*
 * Be the first process of a user namespace, map root to the caller, say so, and wait for the end.
 *
 * The maps are written by a process of the caller's, who may map himself and nobody else: no capability
 * is needed. To open them it must be one that he may trace, so it has let go of all else before. He can
 * make a namespace like this one himself; that the maps are these, and not some with subordinate ids of
 * his, is looked at afterwards.
 */
static _Noreturn void hold_namespace(int line, uid_t uid, gid_t gid)
{
    char uid_map[32], gid_map[32], byte = 0;
    close_others(&line, 1);
    snprintf(uid_map, sizeof uid_map, "0 %u 1\n", (unsigned)uid);
    snprintf(gid_map, sizeof gid_map, "0 %u 1\n", (unsigned)gid);
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || !write_file("/proc/self/uid_map", uid_map) ||
        !write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/gid_map", gid_map))
        _exit(errno == 0 ? EIO : errno);
    if (write(line, &byte, 1) == 1)
        while (read(line, &byte, 1) < 0 && errno == EINTR)
            ;
    _exit(0);
}

/* Whether a map of the child's, which is written once, is root to this id and nothing else: its owner can
 * stop it and have another written. */
static bool is_map(pid_t child, const char *name, unsigned id)
{
    char path[64], text[256];
    unsigned inside, outside, count;
    int end = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)child, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return sscanf(text, " %u %u %u %n", &inside, &outside, &count, &end) == 3 && text[end] == '\0' &&
           inside == 0 && outside == id && count == 1;
}

/* Open the user namespace of a child that says when it is ready: -1 with errno. */
static int open_namespace(pid_t child, int line, uid_t uid, gid_t gid)
{
    struct pollfd ready = { .fd = line, .events = POLLIN };
    char path[64], byte;
    int found = poll(&ready, 1, PATIENCE);
    if (found == 0)
        errno = ETIMEDOUT;
    if (found != 1)
        return -1;
    if (read(line, &byte, 1) != 1) {
        errno = ECHILD;
        return -1;
    }
    if (!is_map(child, "uid_map", uid) || !is_map(child, "gid_map", gid)) {
        errno = EPERM;
        return -1;
    }
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)child);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* A user namespace in which root is the caller. */
static int make_namespace(uid_t uid, gid_t gid)
{
    int line[2], status = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
        refuse("cannot make a pair of sockets: %s", strerror(errno));
    /* A child that nobody waits for gives its number away. */
    signal(SIGCHLD, SIG_DFL);
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child < 0)
        refuse_with(EXIT_WITHOUT_IDMAP, "cannot make a user namespace: %s: containers need them, too",
                    strerror(errno));
    if (child == 0)
        hold_namespace(line[1], uid, gid);
    close(line[1]);
    int namespace = open_namespace((pid_t)child, line[0], uid, gid);
    int reason = errno;
    close(line[0]);
    kill((pid_t)child, SIGKILL);
    /* Who traces it may keep it: then it stays when this process ends. */
    for (int i = 0; i < PATIENCE / 10 && waitpid((pid_t)child, &status, WNOHANG) == 0; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    if (namespace < 0)
        /* As where AppArmor takes all rights in it. */
        refuse_with(EXIT_WITHOUT_IDMAP, "cannot map the ids of a user namespace: %s",
                    strerror(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
                                                                           : reason));
    return namespace;
}

void show_as(int mount, uid_t uid, gid_t gid, const char *dataset)
{
    int namespace = make_namespace(uid, gid);
    struct mount_attr wanted = {
        .attr_set = MOUNT_ATTR_IDMAP,
        .userns_fd = (uint64_t)(unsigned)namespace,
    };
    struct stat status;
    raise_capability();
    long done = syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted);
    lower_capability();
    int reason = errno;
    close(namespace);
    if (done < 0 && (reason == EINVAL || reason == ENOSYS || reason == EOPNOTSUPP))
        refuse_with(EXIT_WITHOUT_IDMAP, "%s cannot be mounted as yours: there are no idmapped mounts, which "
                    "take Linux 5.12 and OpenZFS 2.3", dataset);
    if (done < 0)
        refuse("cannot mount %s as yours: %s", dataset, strerror(reason));
    if (fstat(mount, &status) < 0 || status.st_uid != uid || status.st_gid != gid)
        refuse("the kernel does not show %s as yours", dataset);
}
