#include "attach.h"

#include "capability.h"
#include "refuse.h"

#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void refuse_mount(const char *dataset, int reason)
{
    switch (reason) {
    case ENODEV:
        refuse("cannot mount %s: this kernel has no ZFS: as root: modprobe zfs", dataset);
    case ENOENT:
        refuse("there is no dataset %s", dataset);
    case EACCES:
        refuse("%s is encrypted and its key is not loaded: zfs load-key %s", dataset, dataset);
    case EINVAL:
        refuse("%s is no file system", dataset);
    default:
        refuse("cannot mount %s: %s", dataset, strerror(reason));
    }
}

int open_dataset(const char *dataset)
{
    struct statvfs status;
    int mount = -1;
    raise_capability();
    int fs = (int)syscall(SYS_fsopen, "zfs", FSOPEN_CLOEXEC);
    if (fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", dataset, 0) == 0 &&
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    lower_capability();
    int reason = errno;
    if (fs >= 0)
        close(fs);
    if (mount < 0 && reason == EBUSY)
        return -1;
    if (mount < 0)
        refuse_mount(dataset, reason);
    if (fstatvfs(mount, &status) < 0 || (status.f_flag & ST_NOSUID) == 0 ||
        (status.f_flag & ST_NODEV) == 0)
        refuse("the kernel did not mount %s nosuid,nodev", dataset);
    return mount;
}

int attach(int mount, int folder)
{
    raise_capability();
    long done = syscall(SYS_move_mount, mount, "", folder, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    lower_capability();
    return (int)done;
}
