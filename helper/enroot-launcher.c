/*
 * The head of the single executable: it unpacks what is packed behind it, once, and becomes it.
 *
 * It also notes what the runtime would change or be steered by, so that a container gets what the
 * caller gave (environment.c).
 */
#include "environment.h"
#include "folder.h"
#include "payload.h"
#include "report.h"
#include "utf8.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_CACHE "DENO_DIR=/dev/null/none"

extern char **environ;

/* Where it was tried, and why it did not work there: shown when it works nowhere. */
static char tried[8 * PATH_MAX];

static void note(const struct place *place, const char *why)
{
    size_t used = strlen(tried);
    snprintf(tried + used, sizeof tried - used, "%s%s/%s: %s", used > 0 ? "; " : "", place->parent,
             place->name, why);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] == '/' ? value : NULL;
}

static const char *home(void)
{
    const char *value = variable("HOME");
    if (value != NULL)
        return value;
    struct passwd *entry = getpwuid(geteuid());
    return entry != NULL && entry->pw_dir[0] == '/' ? entry->pw_dir : NULL;
}

/* Text that is made once and kept. */
static const char *join(const char *a, const char *b)
{
    if (a == NULL)
        return NULL;
    size_t size = strlen(a) + strlen(b) + 1;
    char *text = malloc(size);
    if (text == NULL)
        fail("out of memory");
    snprintf(text, size, "%s%s", a, b);
    return text;
}

/* What a package has put beside the executable: PREFIX/bin/enroot, PREFIX/libexec/enroot/payload. */
static bool find_installed(const struct payload *payload, const char *executable,
                           struct folder *folder)
{
    char prefix[PATH_MAX];
    snprintf(prefix, sizeof prefix, "%s", executable);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(prefix, '/');
        if (slash == NULL)
            return false;
        *slash = '\0';
    }
    return find_unpacked(payload, join(prefix, "/libexec/enroot/payload"), folder);
}

static bool find_folder(const struct payload *payload, const char *executable, struct folder *folder)
{
    if (find_installed(payload, executable, folder))
        return true;
    if (!payload->is_whole)
        fail("the files of %s are missing, changed, or not root's alone, in %s: install it again",
             executable, folder->path);
    /* A start mounts something over the runtime path: what is unpacked lies beside it, not in it. */
    const char *cache = variable("ENROOT_CACHE_PATH");
    const char *temporary = variable("ENROOT_TEMP_PATH");
    if (temporary == NULL)
        temporary = variable("TMPDIR");
    char own_name[64];
    snprintf(own_name, sizeof own_name, "enroot-%u-payload", (unsigned)geteuid());
    const struct place places[] = {
        { cache, "payload", true },
        { join(variable("XDG_CACHE_HOME"), "/enroot"), "payload", true },
        { join(home(), "/.cache/enroot"), "payload", true },
        { variable("XDG_RUNTIME_DIR"), "enroot-payload", false },
        { geteuid() == 0 ? "/run" : NULL, "enroot-payload", false },
        { temporary == NULL ? "/tmp" : temporary, own_name, false },
    };
    struct folder noexec = { 0 };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].parent == NULL)
            continue;
        const char *why = unpack(payload, &places[i], folder);
        if (why == NULL && !folder->is_noexec)
            return true;
        if (why != NULL)
            note(&places[i], why);
        else if (!noexec.is_noexec)
            noexec = *folder;
    }
    *folder = noexec;
    return noexec.is_noexec;
}

/* Programs are executed from memory where the folder does not allow it: a variable that tells
 * lib/process/assets.ts their descriptors. */
static const char *load_programs(const struct payload *payload, int *first)
{
    const char *list = "ENROOT_CALLER_PROGRAMS=";
    for (size_t i = 0; i < payload->n_files; i++) {
        const struct packed_file *file = &payload->files[i];
        char entry[PATH_MAX + 16];
        if ((file->mode & 0111) == 0)
            continue;
        int fd = load_file(payload, file);
        if (fd < 0)
            fail("cannot run from memory: %s: set ENROOT_CACHE_PATH to a folder without noexec",
                 strerror(errno));
        if (strcmp(file->name, payload->words[0] + strlen("@/")) == 0)
            *first = fd;
        snprintf(entry, sizeof entry, "%d:%s;", fd, file->name);
        list = join(list, entry);
    }
    return list;
}

/* A word of the command: @ at its beginning is the folder. */
static char *expand(const char *word, const char *folder)
{
    bool is_path = word[0] == '@';
    size_t size = strlen(word) + strlen(folder) + 1;
    char *text = malloc(size);
    if (text == NULL)
        fail("out of memory");
    snprintf(text, size, "%s%s", is_path ? folder : "", word + is_path);
    return text;
}

/* Run the program for its own sake, silently: true when it succeeded. */
static bool run_once(const char *program, char **words, char *const *environment)
{
    const unsigned limit = 20;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        /* Whatever the caller ignores or blocks: it ends, at the latest with this process. */
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_UNBLOCK, &all, NULL);
        signal(SIGALRM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(limit);
        execve(program, words, environment);
        _exit(126);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

/* How the program is run. */
struct invocation {
    const char *program;
    char **words; /* with room for two more */
    size_t n;
    const char **extra; /* its own variables; the first is where the cache is */
    const char *invoked_as;
    const char *executable;
};

static char *const *variables_of(const struct invocation *how)
{
    return caller_environment(environ, how->invoked_as, how->executable, how->extra);
}

/* Have the runtime keep what it compiles and finds out: true when that is there. */
static bool fill_cache(const struct invocation *how, const char *folder)
{
    const char *filling = join(folder, "/" NEW_CACHE), *cache = join(folder, "/" CACHE);
    /* It is only kept when the program ends by itself, which no command does. */
    how->extra[0] = join("DENO_DIR=", filling);
    how->words[how->n] = expand("internal-warm", "");
    bool is_filled = run_once(how->program, how->words, variables_of(how));
    how->extra[0] = NO_CACHE;
    how->words[how->n] = expand("internal-checkpoint", "");
    how->words[how->n + 1] = expand(filling, "");
    is_filled = is_filled && run_once(how->program, how->words, variables_of(how));
    how->words[how->n + 1] = NULL;
    return is_filled && rename(filling, cache) == 0;
}

int main(int argc, char **argv)
{
    static struct payload payload;
    static struct folder folder;
    static char executable[PATH_MAX];
    if (readlink("/proc/self/exe", executable, sizeof executable - 1) < 0)
        fail("cannot find the executable: %s: is /proc mounted?", strerror(errno));

    /* The runtime would put other characters in their place, and act on names that nobody gave. */
    for (int i = 1; i < argc; i++)
        if (!is_utf8(argv[i]))
            fail("argument %d is not UTF-8: only names and commands in UTF-8 can be given", i);

    read_payload(&payload, executable);
    if (!find_folder(&payload, executable, &folder))
        fail("nowhere to unpack to (%s): set ENROOT_CACHE_PATH to a folder of your own", tried);

    char **words = calloc(payload.n_words + (size_t)argc + 3, sizeof *words);
    if (words == NULL)
        fail("out of memory");
    size_t n = 0;
    for (size_t i = 0; i < payload.n_words; i++)
        words[n++] = expand(payload.words[i], folder.path);

    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s", words[0]);
    const char *programs = NULL;
    if (folder.is_noexec && payload.is_whole) {
        int fd = -1;
        programs = load_programs(&payload, &fd);
        snprintf(program, sizeof program, "/proc/self/fd/%d", fd);
    }
    /* The runtime reads ~/.npmrc, and fails when that is not to its liking. Certificates are those of
     * the system, as for every other program here. Where there is no node, the runtime would be one
     * itself, by a change of what PATH its programs get. */
    const char *extra[] = {
        NO_CACHE, join("HOME=", folder.path), "DENO_NO_UPDATE_CHECK=1", "DENO_TLS_CA_STORE=system",
        "DENO_DISABLE_NODE_SHIM=1", programs, NULL,
    };
    const struct invocation invocation = {
        .program = program, .words = words, .n = n, .extra = extra,
        .invoked_as = argc > 0 ? argv[0] : "enroot", .executable = executable,
    };
    /* Until the cache is whole none is used: the runtime would fill it behind the program's back, at a
     * time when its path leads into a container. */
    if (folder.is_warm || (folder.is_claimed && fill_cache(&invocation, folder.path)))
        extra[0] = join("DENO_DIR=", join(folder.path, "/" CACHE));
    char *const *variables = variables_of(&invocation);
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    words[n] = NULL;
    execve(program, words, variables);
    /* The program is there: what is not is its dynamic loader. */
    if (errno == ENOENT)
        fail_code(126, "cannot run %s: this system has no glibc (2.27 or newer is needed)", words[0]);
    fail_code(126, "cannot run %s: %s", words[0], strerror(errno));
}
