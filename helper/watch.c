#include "watch.h"

#include "descriptors.h"
#include "report.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_COMMAND = 64 * 1024, MAX_WORDS = 64 };

static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Wait until a process has ended; at most so many milliseconds, for ever when negative. */
static void wait_for_end(int process, int milliseconds)
{
    struct pollfd one = { .fd = process, .events = POLLIN };
    while (poll(&one, 1, milliseconds) < 0 && errno == EINTR)
        continue;
}

/* Field 22 of proc_pid_stat(5), the second of which is a name that may hold anything. */
unsigned long long start_time(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL && sscanf(at, " %llu", &ticks) == 1 ? ticks : 0;
}

static bool is_ours(pid_t pid)
{
    char path[64], line[256];
    unsigned uid = 0;
    bool is_found = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!is_found && fgets(line, sizeof line, file) != NULL)
        is_found = sscanf(line, "Uid: %u", &uid) == 1;
    fclose(file);
    return is_found && uid == getuid();
}

/* Whether a process is in a mount namespace; when that cannot be told, errno says why. */
static bool is_member(pid_t pid, const struct namespace_id *wanted)
{
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
    errno = 0;
    return stat(path, &found) == 0 && found.st_dev == wanted->device && found.st_ino == wanted->inode;
}

/* Another process in the namespace, 0 when there is none, -1 when that could not be seen. The kernel
 * shows nothing of one that executes what it may not read: if it is the user's, and no older than the
 * first member, it counts as one, and `is_sure` tells. */
static pid_t find_member(const struct namespace_id *wanted, unsigned long long since, bool *is_sure)
{
    pid_t found = 0, maybe = 0;
    *is_sure = false;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return -1;
    errno = 0;
    for (struct dirent *entry; found == 0 && (entry = readdir(proc)) != NULL; errno = 0) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid == getpid())
            continue;
        if (is_member(pid, wanted))
            found = pid;
        else if (maybe == 0 && (errno == EACCES || errno == EPERM) && is_ours(pid) &&
                 start_time(pid) >= since)
            maybe = pid;
    }
    if (found == 0 && maybe == 0 && errno != 0)
        maybe = -1;
    closedir(proc);
    *is_sure = found != 0;
    return found != 0 ? found : maybe;
}

/* One member after the other is waited for: whoever it has left behind is found by the next look. What
 * only may be one is looked at again now and then: it can become something that shows what it is. */
static void wait_until_empty(const struct namespace_id *namespace, unsigned long long since)
{
    bool is_sure;
    for (pid_t pid; (pid = find_member(namespace, since, &is_sure)) != 0;) {
        if (pid < 0) {
            /* The system has no descriptor or memory left for it: taken for empty, a container in use
             * would be cleaned up. */
            sleep(1);
            continue;
        }
        int process = open_process(pid);
        if (process < 0) {
            if (errno != ESRCH)
                sleep(1);
            continue; /* with ESRCH it has just ended */
        }
        wait_for_end(process, is_sure ? -1 : 1000);
        close(process);
    }
}

void end_members(const struct namespace_id *namespace, unsigned long long since)
{
    bool is_sure;
    for (pid_t pid; (pid = find_member(namespace, since, &is_sure)) != 0 && is_sure;) {
        int process = open_process(pid);
        /* Between the two the number may have become another's. */
        if (process >= 0 && is_member(pid, namespace) &&
            syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) == 0)
            wait_for_end(process, 1000);
        if (process >= 0)
            close(process);
    }
}

void ignore_signals(void)
{
    static const int kept[] = { SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        signal(kept[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void run_command(int file)
{
    static char text[MAX_COMMAND];
    char *words[MAX_WORDS + 1];
    size_t count = 0;
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    if (length <= 0)
        _exit(1);
    for (char *word = text; word < text + length && count < MAX_WORDS; word += strlen(word) + 1)
        words[count++] = word;
    words[count] = NULL;
    close(file);
    execv(words[0], words);
    _exit(127);
}

static void watch(const struct watch_request *request, int told, int main_process,
                  unsigned long long since)
{
    struct namespace_id namespace;
    int kept[MAX_KEPT + 3];
    size_t count = request->kept_count;
    memcpy(kept, request->kept, count * sizeof *kept);
    /* Until what is run at the end has ended, too. */
    for (size_t i = 0; i < count; i++)
        fcntl(kept[i], F_SETFD, 0);
    kept[count++] = request->command;
    kept[count++] = told;
    kept[count++] = main_process;
    drop_standard();
    close_others(kept, count);
    ignore_signals();
    prctl(PR_SET_NAME, "enroot-watch");
    if (chdir("/") < 0)
        _exit(1);

    ssize_t length;
    while ((length = read(told, &namespace, sizeof namespace)) < 0 && errno == EINTR)
        continue;
    wait_for_end(main_process, -1);
    /* Without a word the namespace was never made. */
    if (length == sizeof namespace)
        wait_until_empty(&namespace, since);
    close(told);
    close(main_process);
    run_command(request->command);
}

static void close_on_exec(int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        fail("descriptor %d is not open", fd);
}

bool detach_process(void)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0)
        fail("cannot start a watcher: %s", strerror(errno));
    if (child == 0) {
        setsid();
        pid_t grandchild = fork();
        if (grandchild == 0)
            return true;
        _exit(grandchild < 0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0)
        fail("cannot start a watcher");
    return false;
}

bool own_namespace(struct namespace_id *id)
{
    struct stat own;
    /* It is sent as it is, with what lies between its members. */
    memset(id, 0, sizeof *id);
    if (stat("/proc/self/ns/mnt", &own) < 0)
        return false;
    id->device = own.st_dev;
    id->inode = own.st_ino;
    return true;
}

int start_watcher(const struct watch_request *request)
{
    int ends[2];
    int main_process = open_process(getpid());
    unsigned long long since = start_time(getpid());
    if (main_process < 0 || pipe2(ends, O_CLOEXEC) < 0)
        fail("cannot watch this process: %s", strerror(errno));
    if (detach_process()) {
        close(ends[1]);
        watch(request, ends[0], main_process, since);
    }
    close(ends[0]);
    close(main_process);
    close_on_exec(request->command);
    for (size_t i = 0; i < request->kept_count; i++)
        close_on_exec(request->kept[i]);
    return ends[1];
}

void watch_namespace(int watcher)
{
    struct namespace_id namespace;
    if (!own_namespace(&namespace))
        fail("cannot look at the mount namespace: %s", strerror(errno));
    if (write(watcher, &namespace, sizeof namespace) != sizeof namespace)
        fail("the watcher has ended: %s", strerror(errno));
    close(watcher);
}
