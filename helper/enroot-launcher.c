/*
 * The head of the single executable: it unpacks what is packed behind it, once, and becomes it.
 *
 * It also notes what the runtime would change or be steered by, so that a container gets what the
 * caller gave (environment.c).
 */
#include "environment.h"
#include "payload.h"
#include "report.h"

#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <unistd.h>

extern char **environ;

/* Where it was tried, and why it did not work there: shown when it works nowhere. */
static char tried[8 * PATH_MAX];

static bool attempt(const struct payload *payload, const char *base, char *path)
{
    const char *why = unpack(payload, base, path, PATH_MAX);
    if (why == NULL)
        return true;
    size_t used = strlen(tried);
    snprintf(tried + used, sizeof tried - used, "%s%s: %s", used > 0 ? "; " : "", base, why);
    return false;
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

/* Beside the executable a package may have put it: PREFIX/bin/enroot, PREFIX/libexec/enroot/runtime. */
static bool find_installed(const struct payload *payload, const char *executable, char *path)
{
    const char *slash = strrchr(executable, '/');
    if (slash == NULL)
        return false;
    int length = snprintf(path, PATH_MAX, "%.*s/../libexec/enroot/runtime",
                          (int)(slash - executable), executable);
    return length < PATH_MAX && find_unpacked(payload, path) == NULL;
}

static bool find_folder(const struct payload *payload, const char *executable, char *path)
{
    if (find_installed(payload, executable, path))
        return true;
    /* The first of each row that is set, with what is added to it. */
    const char *own_home = home();
    const char *temporary = variable("ENROOT_TEMP_PATH");
    if (temporary == NULL)
        temporary = variable("TMPDIR");
    const struct { const char *folder, *suffix; } places[] = {
        { variable("ENROOT_CACHE_PATH"), "" },
        { variable("XDG_CACHE_HOME"), "/enroot" },
        { own_home, "/.cache/enroot" },
        { variable("ENROOT_RUNTIME_PATH"), "" },
        { variable("XDG_RUNTIME_DIR"), "/enroot" },
        { geteuid() == 0 ? "/run" : NULL, "/enroot" },
    };
    char base[PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].folder == NULL)
            continue;
        if (snprintf(base, sizeof base, "%s%s", places[i].folder, places[i].suffix) <
                (int)sizeof base && attempt(payload, base, path))
            return true;
    }
    int length = snprintf(base, sizeof base, "%s/enroot-%u",
                          temporary == NULL ? "/tmp" : temporary, (unsigned)geteuid());
    return length < (int)sizeof base && attempt(payload, base, path);
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

int main(int argc, char **argv)
{
    static struct payload payload;
    static char executable[PATH_MAX], folder[PATH_MAX], cache[PATH_MAX + 16];
    ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    if (length < 0)
        fail("cannot find the executable: %s: is /proc mounted?", strerror(errno));

    read_payload(&payload, executable);
    if (!find_folder(&payload, executable, folder))
        fail("nowhere to unpack to (%s): set ENROOT_CACHE_PATH to a folder of your own", tried);

    char **words = calloc(payload.n_words + (size_t)argc + 1, sizeof *words);
    if (words == NULL)
        fail("out of memory");
    size_t n = 0;
    for (size_t i = 0; i < payload.n_words; i++)
        words[n++] = expand(payload.words[i], folder);
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];

    snprintf(cache, sizeof cache, "DENO_DIR=%s/cache", folder);
    const char *const extra[] = { cache, "DENO_NO_UPDATE_CHECK=1", NULL };
    execve(words[0], words,
           caller_environment(environ, argc > 0 ? argv[0] : "enroot", executable, extra));
    fail_code(126, "cannot run %s: %s", words[0], strerror(errno));
}
