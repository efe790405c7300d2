/*
 * A mount of its own that is shown as the caller's, as enroot-zfs-mount does it, on a file system that
 * every kernel has: tmpfs. Part of tests/helper_idmap_test.ts.
 *
 *   show_as UID GID   whom the root folder belongs to before
 *
 * Prints whom it belongs to then, and a new file in it, and what is left open.
 */
#include "capability.h"
#include "idmap.h"
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_owner(int folder, const char *name)
{
    struct stat status;
    if (fstatat(folder, name, &status, AT_EMPTY_PATH) < 0)
        refuse("cannot look at '%s': %s", name, strerror(errno));
    printf("%s %u:%u\n", name, (unsigned)status.st_uid, (unsigned)status.st_gid);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        refuse("usage: show_as UID GID");
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    put_capabilities_aside();
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        refuse("cannot settle the process");
    raise_capability();
    int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "uid", argv[1], 0);
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "gid", argv[2], 0);
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0700", 0);
    int mount = -1;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    lower_capability();
    close(fs);
    if (mount < 0)
        refuse("cannot mount a tmpfs: %s", strerror(errno));
    printf("marked %d\n", is_template(mount));
    show_as(mount, getuid(), getgid(), "it");
    print_owner(mount, "");
    int file = openat(mount, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        refuse("cannot make a file: %s", strerror(errno));
    print_owner(mount, "new");
    close(file);
    close(mount);
    for (int fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("open %d\n", fd);
    printf("children %d\n", waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD);
    return 0;
}
