#include "serve.h"

#include "descriptors.h"
#include "report.h"
#include "watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* linux/mount.h, which does not go together with sys/mount.h */
#define TREE_CLONE 1U

enum { PATIENCE = 60 * 1000, FUSE_MAGIC = 0x65735546 };

/* What connects the caller and the process that looks after the program. */
struct connection {
    int ready;  /* one byte: it has mounted */
    int told;   /* the namespace of the command; ends without one when the caller does */
    int errors; /* what the program says */
};

static bool is_fuse(const char *place)
{
    struct statfs found;
    return statfs(place, &found) == 0 && (unsigned long)found.f_type == FUSE_MAGIC;
}

/* False when the program, or the caller, has ended before. */
static bool wait_for_mount(pid_t program, const char *place, dev_t before, int told)
{
    struct pollfd caller = { .fd = told, .events = POLLIN };
    for (;;) {
        struct stat now;
        if (stat(place, &now) == 0 && now.st_dev != before && is_fuse(place))
            return true;
        if (waitpid(program, NULL, WNOHANG) != 0 || poll(&caller, 1, 1) > 0)
            return false;
    }
}

/* Wait until the caller has ended. */
static void wait_for_caller(int told)
{
    char byte;
    while (read(told, &byte, 1) > 0 || errno == EINTR)
        errno = 0;
}

static _Noreturn void look_after(const struct serve_request *request, const struct connection *other,
                                 unsigned long long since)
{
    struct namespace_id container, own;
    struct stat before;
    int kept[MAX_KEPT + 4] = { request->command, other->ready, other->told, other->errors };
    memcpy(kept + 4, request->kept, request->kept_count * sizeof *kept);
    drop_standard();
    close_others(kept, 4 + request->kept_count);
    prctl(PR_SET_NAME, "enroot-serve");
    /* What the program leaves running is as much a part of it. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ignore_signals();
    if (stat(request->place, &before) < 0 || chdir("/") < 0)
        _exit(1);

    pid_t program = fork();
    if (program == 0) {
        dup2(other->errors, STDERR_FILENO);
        run_command(request->command);
    }
    close(request->command);
    bool is_told = false;
    if (program > 0 && wait_for_mount(program, request->place, before.st_dev, other->told)) {
        is_told = write(other->ready, "", 1) == 1;
        is_told = is_told && read(other->told, &container, sizeof container) == sizeof container;
    }
    close(other->ready);
    if (is_told) {
        while (wait(NULL) < 0 && errno == EINTR)
            continue;
        end_members(&container, since);
    } else {
        /* The caller is in the program's namespace still, and has something to say. */
        wait_for_caller(other->told);
    }
    if (own_namespace(&own))
        end_members(&own, since);
    while (wait(NULL) > 0 || errno == EINTR)
        continue;
    _exit(0);
}

/* What the program said, in one line. */
static const char *complaint(int errors)
{
    static char text[1024];
    ssize_t length = pread(errors, text, sizeof text - 1, 0);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    text[length > 0 ? length : 0] = '\0';
    for (char *at = text; (at = strchr(at, '\n')) != NULL;)
        *at = ';';
    return *text != '\0' ? text : "the program that serves it has ended, or does not answer";
}

static void wait_until_ready(int ready, int errors)
{
    struct pollfd one = { .fd = ready, .events = POLLIN };
    char byte;
    int found;
    while ((found = poll(&one, 1, PATIENCE)) < 0 && errno == EINTR)
        continue;
    if (found <= 0 || read(ready, &byte, 1) != 1)
        fail("cannot mount the image: %s", complaint(errors));
}

/* The mount at a path, taken off it. */
static int take_mount(const char *place)
{
    int mount = (int)syscall(SYS_open_tree, AT_FDCWD, place, TREE_CLONE | O_CLOEXEC);
    if (mount < 0)
        fail("cannot take over the mount of the image: %s", strerror(errno));
    /* What the program needed itself is mounted below it. */
    while (umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        continue;
    return mount;
}

int start_serving(const struct serve_request *request)
{
    int ready[2], told[2];
    struct connection other;
    unsigned long long since = start_time(getpid());
    int errors = (int)syscall(SYS_memfd_create, "enroot-errors", MFD_CLOEXEC);
    if (errors < 0 || pipe2(ready, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0)
        fail("cannot connect to the program that serves the image: %s", strerror(errno));
    if (detach_process()) {
        other.ready = ready[1];
        other.told = told[0];
        other.errors = errors;
        look_after(request, &other, since);
    }
    close(ready[1]);
    close(told[0]);
    wait_until_ready(ready[0], errors);
    close(ready[0]);
    close(errors);
    int mount = take_mount(request->place);
    if (dup2(mount, request->command) < 0)
        fail("cannot keep the mount of the image: %s", strerror(errno));
    close(mount);
    return told[1];
}
