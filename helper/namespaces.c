#include "namespaces.h"

#include "report.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t length = strlen(text);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        fail("cannot write %s: %s", path, strerror(errno));
    close(fd);
}

/* Why user namespaces may be refused, as far as the system tells. */
static const char *advice(int reason)
{
    static const struct { const char *path; char off; const char *text; } switches[] = {
        { "/proc/sys/user/max_user_namespaces", '0', "sysctl user.max_user_namespaces is 0" },
        { "/proc/sys/kernel/unprivileged_userns_clone", '0',
          "sysctl kernel.unprivileged_userns_clone is 0" },
        { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1',
          "AppArmor restricts them: sysctl kernel.apparmor_restrict_unprivileged_userns is 1" },
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        char value = 0;
        int fd = open(switches[i].path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        bool is_off = read(fd, &value, 1) == 1 && value == switches[i].off;
        close(fd);
        if (is_off)
            return switches[i].text;
    }
    return reason == ENOSPC ? "the limit of user namespaces is reached" : "the kernel refuses them";
}

static void map_ids(const struct identity *inside, const struct identity *outside)
{
    char map[64];
    /* Only then may a plain user map groups. */
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1\n", inside->uid, outside->uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1\n", inside->gid, outside->gid);
    write_file("/proc/self/gid_map", map);
}

static void raise_loopback(void)
{
    struct ifreq request = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        fail("cannot look at the loopback interface: %s", strerror(errno));
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail("cannot bring up the loopback interface: %s", strerror(errno));
    close(fd);
}

void make_namespaces(int flags, const struct identity *inside)
{
    const struct identity outside = { geteuid(), getegid() };
    if (flags & CLONE_NEWUSER) {
        if (unshare(CLONE_NEWUSER) < 0) {
            int reason = errno;
            fail("cannot make a user namespace: %s (%s)", strerror(reason), advice(reason));
        }
        map_ids(inside, &outside);
    }
    if (unshare(flags & ~CLONE_NEWUSER) < 0)
        fail("cannot make namespaces: %s", strerror(errno));
    /* What the host mounts later is seen; what is mounted here is not. */
    if (flags & CLONE_NEWNS && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        fail("cannot make mounts slaves of the host's: %s", strerror(errno));
    if (flags & CLONE_NEWNET)
        raise_loopback();
}

/* A namespace of a process, open; -1 when it is this process's own. */
static int open_namespace(int process, const char *name)
{
    char path[64];
    struct stat own, other;
    snprintf(path, sizeof path, "ns/%s", name);
    int fd = openat(process, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &other) < 0)
        fail("cannot open the %s namespace of the process: %s", name, strerror(errno));
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    if (stat(path, &own) < 0 || own.st_dev != other.st_dev || own.st_ino != other.st_ino)
        return fd;
    close(fd);
    return -1;
}

int join_namespaces(int process, int flags)
{
    /* The user namespace first: it gives the right to join the others. */
    static const struct { const char *name; int flag; } kinds[] = {
        { "user", CLONE_NEWUSER }, { "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS },
        { "net", CLONE_NEWNET }, { "cgroup", CLONE_NEWCGROUP },
        { "pid_for_children", CLONE_NEWPID }, { "mnt", CLONE_NEWNS },
    };
    enum { N = sizeof kinds / sizeof *kinds };
    int fds[N], joined = 0;
    /* All are opened first: behind the mount namespace /proc is another one. */
    for (size_t i = 0; i < N; i++)
        fds[i] = flags & kinds[i].flag ? open_namespace(process, kinds[i].name) : -1;
    for (size_t i = 0; i < N; i++) {
        if (fds[i] < 0)
            continue;
        if (setns(fds[i], kinds[i].flag) < 0)
            fail("cannot join the %s namespace of the process: %s", kinds[i].name, strerror(errno));
        close(fds[i]);
        joined |= kinds[i].flag;
    }
    return joined;
}

void keep_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        fail("cannot read capabilities: %s", strerror(errno));
    data[0].inheritable = data[0].permitted;
    data[1].inheritable = data[1].permitted;
    if (syscall(SYS_capset, &header, data) < 0)
        fail("cannot set capabilities: %s", strerror(errno));
    uint64_t permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (!(permitted >> cap & 1))
            continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            fail("cannot keep capability %lu: %s", cap, strerror(errno));
    }
}

void gain_nothing(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("cannot set no_new_privs: %s", strerror(errno));
}

void drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            fail("cannot drop capability %lu: %s", cap, strerror(errno));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        fail("cannot drop capabilities: %s", strerror(errno));
}
