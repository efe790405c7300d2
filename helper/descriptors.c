#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 5.9 has a call for it; before that there are as many as the limit allows. */
static void close_from_to(unsigned first, unsigned last)
{
    struct rlimit limit;
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0 || errno != ENOSYS)
        return;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        _exit(1);
    for (unsigned fd = first; fd <= last && fd < limit.rlim_max; fd++)
        close((int)fd);
}

void close_others(const int *kept, size_t count)
{
    unsigned first = 3;
    for (;;) {
        /* The lowest that is kept, of those that are left. */
        unsigned next = ~0U;
        for (size_t i = 0; i < count; i++)
            if (kept[i] >= (int)first && (unsigned)kept[i] < next)
                next = (unsigned)kept[i];
        close_from_to(first, next == ~0U ? next : next - 1);
        if (next == ~0U)
            return;
        first = next + 1;
    }
}

void drop_standard(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        if (null >= 0)
            dup2(null, fd);
    if (null > 2)
        close(null);
}
