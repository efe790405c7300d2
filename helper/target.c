#include "target.h"

#include "report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int open_target(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        fail("cannot look at process %d: %s", (int)pid, strerror(errno));
    return process;
}

static int open_folder(int process, const char *name)
{
    int fd = openat(process, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("cannot open the %s of the process: %s", name, strerror(errno));
    return fd;
}

void read_likeness(int process, struct likeness *likeness)
{
    char line[256];
    bool is_found = false;
    int fd = openat(process, "status", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL)
        fail("cannot read the status of the process: %s", strerror(errno));
    while (!is_found && fgets(line, sizeof line, file) != NULL)
        is_found = sscanf(line, "CapBnd: %" SCNx64, &likeness->bounding) == 1;
    fclose(file);
    if (!is_found)
        fail("cannot read the capabilities of the process");
    likeness->root = open_folder(process, "root");
    likeness->workdir = open_folder(process, "cwd");
}

void take_place(const struct likeness *likeness)
{
    if (fchdir(likeness->root) < 0 || chroot(".") < 0)
        fail("cannot change to the root of the process: %s", strerror(errno));
    /* It may have been closed to others, or be gone. */
    if (fchdir(likeness->workdir) < 0 && chdir("/") < 0)
        fail("cannot change to /: %s", strerror(errno));
    close(likeness->root);
    close(likeness->workdir);
}

void take_limits(const struct likeness *likeness)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2];
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        fail("cannot drop capabilities: %s", strerror(errno));
    for (unsigned long cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!(likeness->bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            fail("cannot drop capability %lu: %s", cap, strerror(errno));
    if (syscall(SYS_capget, &header, data) < 0)
        fail("cannot read capabilities: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        uint32_t allowed = (uint32_t)(likeness->bounding >> (32 * i));
        data[i].permitted &= allowed;
        data[i].effective &= allowed;
        data[i].inheritable &= allowed;
    }
    if (syscall(SYS_capset, &header, data) < 0)
        fail("cannot drop capabilities: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("cannot give up new privileges: %s", strerror(errno));
}
