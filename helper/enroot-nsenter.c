/*
 * enroot-nsenter: run a command in new namespaces, or in those of a process.
 *
 * It is what a process with threads cannot do for itself; everything else of a start is done by the
 * program that it runs. The process stays the same: its PID is that of the command.
 */
#include "descriptors.h"
#include "namespaces.h"
#include "report.h"
#include "seccomp.h"
#include "serve.h"
#include "supervise.h"
#include "target.h"
#include "watch.h"

#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

extern char **environ;

static const char usage[] =
    "Usage: enroot-nsenter [OPTION]... [--] COMMAND [ARG]...\n"
    "\n"
    "Run a command in new namespaces, or in those of a process.\n"
    "\n"
    "  --target PID    join the namespaces of PID instead of making new ones\n"
    "  --process FD    the same, of the process whose folder in /proc is open as FD\n"
    "  --like-target   with its root and working directory, and no privilege that it could not have\n"
    "  --user --mount --net --ipc --uts --cgroup --pid\n"
    "                  which namespaces\n"
    "  --remap-root    be root in the new user namespace\n"
    "  --workdir DIR   run it in DIR\n"
    "  --envfile FILE  its environment: lines NAME=VALUE, and nothing else\n"
    "  --at-end FD     run what the file open as FD says, arguments that end in NUL, in the caller's\n"
    "                  namespaces when the new mount namespace is empty again\n"
    "  --hold FD       keep FD open until then, and not in the command; also in what --serve runs\n"
    "  --serve FD      run what the file open as FD says, a program that mounts a file system and serves\n"
    "                  it, in namespaces around those of the command; FD is then the mount. When the\n"
    "                  program ends, so does all that is in the new mount namespace\n"
    "  --on DIR        where that program mounts it\n"
    "  --watcher FD    tell the watcher at the other end of FD of the new mount namespace\n";

static int number(const char *text, const char *what)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value <= 0 || value > 0x7fffffff)
        fail("'%s' is no %s", text, what);
    return (int)value;
}

/* The lines of a file as an environment; it stays in memory for execve(2). */
static void load_environment(const char *path)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail("cannot open %s: %s", path, strerror(errno));
    if (clearenv() != 0)
        fail("cannot clear the environment");
    for (ssize_t length; (length = getline(&line, &size, file)) >= 0;) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (strchr(line, '=') == NULL || line[0] == '=')
            continue;
        if (putenv(line) != 0)
            fail("cannot set the environment: %s", strerror(errno));
        line = NULL; /* it is the environment's now */
        size = 0;
    }
    if (ferror(file))
        fail("cannot read %s: %s", path, strerror(errno));
    free(line);
    fclose(file);
}

/* What the caller had open is the command's: the processes of a parallel job talk over it. Not in the
 * hardened flavour. */
static void keep_from_container(void)
{
#ifdef ENROOT_HARDENED
    close_others(NULL, 0);
#endif
}

int main(int argc, char **argv)
{
    enum { TARGET = 1, PROCESS, LIKE, REMAP, WORKDIR, ENVFILE, AT_END, HOLD, SERVE, ON, WATCHER, HELP, KIND };
    static const int kinds[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC,
                                 CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWPID };
    static const struct option options[] = {
        { "user", no_argument, NULL, KIND }, { "mount", no_argument, NULL, KIND + 1 },
        { "net", no_argument, NULL, KIND + 2 }, { "ipc", no_argument, NULL, KIND + 3 },
        { "uts", no_argument, NULL, KIND + 4 }, { "cgroup", no_argument, NULL, KIND + 5 },
        { "pid", no_argument, NULL, KIND + 6 },
        { "target", required_argument, NULL, TARGET },
        { "process", required_argument, NULL, PROCESS }, { "like-target", no_argument, NULL, LIKE },
        { "remap-root", no_argument, NULL, REMAP },
        { "workdir", required_argument, NULL, WORKDIR },
        { "envfile", required_argument, NULL, ENVFILE },
        { "at-end", required_argument, NULL, AT_END }, { "hold", required_argument, NULL, HOLD },
        { "serve", required_argument, NULL, SERVE }, { "on", required_argument, NULL, ON },
        { "watcher", required_argument, NULL, WATCHER },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
    };
    const char *workdir = NULL, *envfile = NULL;
    struct likeness likeness;
    /* The last step of a start, from a sealed file in memory: what a container's file is executed by,
     * that file can execute again, and write to (lib/sys/sealed_program.ts). */
    bool drops = argc > 1 && strcmp(argv[1], "--exec-unprivileged") == 0;
    if (argc > 3 && (drops || strcmp(argv[1], "--exec") == 0)) {
        keep_from_container();
        gain_nothing();
        if (drops)
            drop_capabilities();
        execv(argv[2], argv + 3);
        fail("cannot run %s: %s", argv[2], strerror(errno));
    }
    const struct identity root = { 0, 0 }, own = { geteuid(), getegid() };
    struct watch_request request = { .command = -1, .kept_count = 0 };
    struct serve_request served = { .command = -1 };
    bool remap_root = false, is_like_target = false;
    int flags = 0, watcher = -1, server = -1, process = -1;

    for (int option; (option = getopt_long(argc, argv, "+h", options, NULL)) != -1;) {
        if (option >= KIND && option < KIND + (int)(sizeof kinds / sizeof *kinds))
            flags |= kinds[option - KIND];
        else if (option == TARGET)
            process = open_target((pid_t)number(optarg, "process id"));
        else if (option == PROCESS)
            process = number(optarg, "descriptor");
        else if (option == LIKE)
            is_like_target = true;
        else if (option == REMAP)
            remap_root = true;
        else if (option == WORKDIR)
            workdir = optarg;
        else if (option == ENVFILE)
            envfile = optarg;
        else if (option == AT_END)
            request.command = number(optarg, "descriptor");
        else if (option == HOLD && request.kept_count < MAX_KEPT)
            request.kept[request.kept_count++] = number(optarg, "descriptor");
        else if (option == SERVE)
            served.command = number(optarg, "descriptor");
        else if (option == ON)
            served.place = optarg;
        else if (option == WATCHER)
            watcher = number(optarg, "descriptor");
        else {
            bool asked = option == HELP || option == 'h';
            fputs(usage, asked ? stdout : stderr);
            return asked ? 0 : 1;
        }
    }
    if (optind >= argc) {
        fputs(usage, stderr);
        return 1;
    }

    /* Read before the file may be out of sight. */
    if (envfile != NULL)
        load_environment(envfile);
    if (request.command >= 0)
        watcher = start_watcher(&request);
    bool is_new = process < 0;
    bool is_served = served.command >= 0;
    if ((is_like_target && is_new) || (is_served && !is_new) || is_served != (served.place != NULL)) {
        fputs(usage, stderr);
        return 1;
    }
    if (is_like_target)
        read_likeness(process, &likeness);
    if (is_served) {
        /* Root in it is who the files of an image belong to. The command's namespaces are made within
         * these, so nothing in it can get hold of the program, which still sees the host's files. */
        make_namespaces(flags & (CLONE_NEWUSER | CLONE_NEWNS), &root);
        served.kept = request.kept;
        served.kept_count = request.kept_count;
        server = start_serving(&served);
        /* Around the command's own namespace is one where it has the ids of its caller, as without a
         * server: the map that it sees of itself says so. */
        make_namespaces(flags & CLONE_NEWUSER, &own);
    }
    if (is_new)
        make_namespaces(flags, remap_root ? &root : &own);
    else {
        flags = join_namespaces(process, flags);
        close(process);
    }
    if (watcher >= 0)
        watch_namespace(watcher);
    if (server >= 0)
        watch_namespace(server);
    if (is_like_target)
        take_place(&likeness);
    if (flags & CLONE_NEWUSER && install_identity_filter() < 0)
        fail("cannot install the filter of system calls: %s", strerror(errno));
    if (is_like_target)
        take_limits(&likeness);
    if (flags & CLONE_NEWUSER)
        keep_capabilities();
    if (workdir != NULL && chdir(workdir) < 0)
        fail("cannot change to %s: %s", workdir, strerror(errno));

    if (flags & CLONE_NEWPID)
        fork_command(is_new);

    if (is_like_target)
        keep_from_container();
    execvp(argv[optind], argv + optind);
    fail_code(errno == ENOENT ? 127 : 126, "cannot run %s: %s", argv[optind], strerror(errno));
}
