#include "capability.h"

#include "refuse.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both are among the first 32: the second word of each set stays empty. */
#define SYS_ADMIN (1U << CAP_SYS_ADMIN)
#define READ_SEARCH (1U << CAP_DAC_READ_SEARCH)

static struct __user_cap_data_struct held[2];

static int set_effective(uint32_t effective)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    held[0].effective = effective;
    return (int)syscall(SYS_capset, &header, held);
}

void put_capabilities_aside(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    if (syscall(SYS_capget, &header, held) < 0)
        refuse("cannot read the capabilities: %s", strerror(errno));
    /* Root may open the folders of a user who shares them with nobody; a plain user's own rights,
     * whatever he was given besides, decide what he may open. */
    held[0].permitted &= getuid() == 0 ? SYS_ADMIN | READ_SEARCH : SYS_ADMIN;
    held[0].inheritable = 0;
    held[1] = (struct __user_cap_data_struct){ 0 };
    if (set_effective(held[0].permitted & ~SYS_ADMIN) < 0)
        refuse("cannot put the capabilities aside: %s", strerror(errno));
}

/* Why there is no capability, and who does what about it. */
static _Noreturn void refuse_without(void)
{
    static char program[PATH_MAX];
    struct statvfs fs;
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        strcpy(program, "enroot-zfs-mount");
    if (getuid() == 0)
        refuse("this root may not mount: CAP_SYS_ADMIN was taken from it");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        refuse("no_new_privs is set for this process, so the capability of %s does not count: run "
               "enroot outside of the service or sandbox that sets it", program);
    if (statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
        refuse("%s is on a file system mounted nosuid, where its capability does not count: as root, "
               "install it on another one", program);
    refuse("%s lacks the capability to mount: as root: setcap cap_sys_admin+ep %s", program, program);
}

void raise_capability(void)
{
    if ((held[0].permitted & SYS_ADMIN) == 0)
        refuse_without();
    if (set_effective(held[0].effective | SYS_ADMIN) < 0)
        refuse("cannot take up CAP_SYS_ADMIN: %s", strerror(errno));
}

void lower_capability(void)
{
    int reason = errno;
    if (set_effective(held[0].effective & ~SYS_ADMIN) < 0)
        refuse("cannot put CAP_SYS_ADMIN aside: %s", strerror(errno));
    errno = reason;
}
