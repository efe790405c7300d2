#include "store_config.h"

#include "beneath.h"
#include "conf_line.h"
#include "refuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "ENROOT_DATA_PATH"
#define TEMPLATES_KEY "ENROOT_TEMPLATE_STORE"
#define FOLDER "/etc/enroot"

enum { MAX_FILES = 1024 };

/* The last assignment of a key so far. */
struct setting {
    const char *key;
    char *value; /* NULL: none */
    bool is_literal;
    char *line;
    char origin[2 * PATH_MAX];
};

enum { DATA_PATH, TEMPLATE_STORE, N_SETTINGS };

struct settings {
    struct setting each[N_SETTINGS];
};

/* Open something of the configuration, and see that it is the administrator's alone: -1 when it is not
 * there. */
static int open_trusted(int folder, const char *name, mode_t type, const char *path)
{
    struct stat status;
    /* What is no file must not make this wait. */
    int fd = open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return -1;
    if (fd < 0 && errno == ELOOP)
        refuse("%s is a symbolic link: the configuration is read without following any", path);
    if (fd < 0 || fstat(fd, &status) < 0)
        refuse("cannot read %s: %s", path, strerror(errno));
    if ((status.st_mode & S_IFMT) != type)
        refuse("%s is no %s", path, type == S_IFDIR ? "folder" : "regular file");
    if (status.st_uid != 0)
        refuse("%s belongs to uid %u: the configuration must be root's", path,
               (unsigned)status.st_uid);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        refuse("%s can be written by others than root: as root: chmod go-w %s", path, path);
    return fd;
}

/* The setting of a key, of those that are looked for. */
static struct setting *find_setting(struct settings *settings, const char *key)
{
    for (size_t i = 0; key != NULL && i < N_SETTINGS; i++)
        if (strcmp(key, settings->each[i].key) == 0)
            return &settings->each[i];
    return NULL;
}

static void read_file(int folder, const char *name, const char *path, struct settings *settings)
{
    char *line = NULL;
    size_t size = 0;
    int fd = open_trusted(folder, name, S_IFREG, path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        if (fd >= 0)
            refuse("cannot read %s: %s", path, strerror(errno));
        return;
    }
    ssize_t length;
    for (unsigned n = 1; (length = getline(&line, &size, file)) >= 0; n++) {
        struct conf_line parsed;
        if (strlen(line) != (size_t)length)
            refuse("%s:%u: the line holds a NUL", path, n);
        char *copy = strdup(line);
        if (copy == NULL)
            refuse("out of memory");
        if (!parse_conf_line(line, &parsed))
            refuse("%s:%u: '%s' is no KEY VALUE line", path, n, trim(copy));
        struct setting *setting = find_setting(settings, parsed.key);
        if (setting == NULL) {
            free(copy);
            continue;
        }
        free(setting->value);
        free(setting->line);
        setting->value = strdup(parsed.value);
        if (setting->value == NULL)
            refuse("out of memory");
        setting->is_literal = parsed.is_literal;
        setting->line = copy;
        snprintf(setting->origin, sizeof setting->origin, "%s:%u", path, n);
    }
    if (!feof(file))
        refuse("cannot read %s: %s", path, strerror(errno));
    free(line);
    fclose(file);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_folder(int folder, const char *path, struct settings *settings)
{
    static char *names[MAX_FILES];
    size_t n = 0;
    int fd = open_trusted(folder, "enroot.conf.d", S_IFDIR, path);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            refuse("cannot read %s: %s", path, strerror(errno));
        return;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
        size_t length = strlen(entry->d_name), end = strlen(".conf");
        if (length < end || strcmp(entry->d_name + length - end, ".conf") != 0)
            continue;
        if (n == MAX_FILES || (names[n++] = strdup(entry->d_name)) == NULL)
            refuse("there are too many files in %s", path);
    }
    if (errno != 0)
        refuse("cannot read %s: %s", path, strerror(errno));
    qsort(names, n, sizeof *names, compare);
    for (size_t i = 0; i < n; i++) {
        char file[PATH_MAX];
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        read_file(dirfd(dir), names[i], file, settings);
        free(names[i]);
    }
    closedir(dir);
}

/* The configuration's folder: a way of folders that nobody but root may change. */
static int open_folder(void)
{
    int fd = open_trusted(root_folder(), ".", S_IFDIR, "/");
    char path[] = FOLDER;
    for (char *name = path; fd >= 0 && name != NULL;) {
        char *part = name + 1;
        name = strchr(part, '/');
        if (name != NULL)
            *name = '\0';
        int next = open_trusted(fd, part, S_IFDIR, path);
        close(fd);
        fd = next;
        if (name != NULL)
            *name = '/';
    }
    return fd;
}

/* The words that turn a setting off, as for the program (lib/config/config.ts). */
static bool is_off(const char *value)
{
    static const char *const words[] = { "", "n", "no", "N", "NO", "false", "FALSE", "f" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i]) == 0)
            return true;
    return false;
}

/* The shared store of templates, if there is one. */
static void take_templates(const struct setting *setting, char *templates, size_t size)
{
    templates[0] = '\0';
    if (setting->value == NULL || is_off(setting->value))
        return;
    if (!is_dataset_name(setting->value) || strlen(setting->value) >= size)
        refuse("%s: '%s': it must be the name of a dataset, as it is", setting->origin,
               trim(setting->line));
    strcpy(templates, setting->value);
}

void read_store_config(uid_t uid, struct store_config *config)
{
    static struct settings settings = { { [DATA_PATH] = { .key = KEY },
                                          [TEMPLATE_STORE] = { .key = TEMPLATES_KEY } } };
    const struct setting *setting = &settings.each[DATA_PATH];
    struct data_path *data_path = &config->data_path;
    int folder = open_folder();
    if (folder >= 0) {
        read_file(folder, "enroot.conf", FOLDER "/enroot.conf", &settings);
        read_folder(folder, FOLDER "/enroot.conf.d", &settings);
        close(folder);
    }
    if (setting->value == NULL || is_off(setting->value))
        refuse(KEY " is not set in " FOLDER "/enroot.conf: as root, put the line "
               "'" KEY " /var/lib/enroot/${UID}' there, or wherever the stores are mounted");
    const char *why = expand_data_path(setting->value, setting->is_literal, uid, data_path);
    if (why != NULL)
        refuse("%s: '%s': %s", setting->origin, trim(setting->line), why);
    memcpy(data_path->origin, setting->origin, sizeof data_path->origin);
    take_templates(&settings.each[TEMPLATE_STORE], config->templates, sizeof config->templates);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        free(settings.each[i].value);
        free(settings.each[i].line);
    }
}
