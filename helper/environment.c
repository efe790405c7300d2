#include "environment.h"

#include "report.h"

#include <stdbool.h>
#include <sys/resource.h>

#define HIDDEN "ENROOT_CALLER_ENV_"
#define STATE "ENROOT_CALLER_STATE"

/*
 * What a job sets for programs of its own must not reach ours: options of Deno, Node and
 * OpenTelemetry, of the dynamic loader and the allocator, of Rust's runtime and the libraries that are
 * linked into ours, and the file that TLS keys would be written to. HOME, because of ~/.npmrc.
 */
static bool is_hidden(const char *variable)
{
    static const char *const prefixes[] = {
        "DENO_", "NODE_", "OTEL_", "LD_", "GLIBC_TUNABLES=", "MALLOC_", "RUST_", "V8_", "JSR_",
        "NPM_CONFIG_", "npm_config_", "ICU_", "SQLITE_", "SSLKEYLOGFILE=", "HOME=",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static char *format(const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + 1;
    char *text = malloc(size);
    if (text == NULL)
        fail("out of memory");
    snprintf(text, size, "%s%s", a, b);
    return text;
}

/* The ignored signals as proc(5) gives them: the C library hides some of them from sigaction(2). */
static unsigned long long ignored_signals(void)
{
    unsigned long long mask = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "SigIgn: %llx", &mask) == 1)
            break;
    fclose(file);
    return mask;
}

static char *state(const char *invoked_as, const char *executable)
{
    struct rlimit limit;
    char head[512];
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("cannot read the limit of open files: %s", strerror(errno));
    const char *name = strrchr(invoked_as, '/');
    name = name == NULL ? invoked_as : name + 1;
    bool is_plain = strlen(name) < 256 && strchr(name, ';') == NULL;
    snprintf(head, sizeof head, STATE "=1;%llu;%llx;%s;", (unsigned long long)limit.rlim_cur,
             ignored_signals(), is_plain ? name : "enroot");
    return format(head, executable);
}

char **caller_environment(char **environment, const char *invoked_as, const char *executable,
                          const char *const *extra)
{
    size_t count = 0, n = 0;
    while (environment[count] != NULL)
        count++;
    for (size_t i = 0; extra[i] != NULL; i++)
        count++;
    char **result = calloc(count + 2, sizeof *result);
    if (result == NULL)
        fail("out of memory");
    for (size_t i = 0; environment[i] != NULL; i++) {
        /* Of an enroot that started this one. */
        if (strncmp(environment[i], "ENROOT_CALLER_", strlen("ENROOT_CALLER_")) == 0)
            continue;
        result[n++] = is_hidden(environment[i]) ? format(HIDDEN, environment[i]) : environment[i];
    }
    result[n++] = state(invoked_as, executable);
    for (size_t i = 0; extra[i] != NULL; i++)
        result[n++] = format(extra[i], "");
    return result;
}
