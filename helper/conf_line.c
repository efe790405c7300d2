#include "conf_line.h"

#include <stdio.h>
#include <string.h>

#define SPACE " \t\n\v\f\r"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define DIGITS "0123456789"

/* Stands for the part of any name while the path is put together; no value holds it. */
#define ANY '\1'

char *trim(char *text)
{
    text += strspn(text, SPACE);
    size_t length = strlen(text);
    while (length > 0 && strchr(SPACE, text[length - 1]) != NULL)
        length--;
    text[length] = '\0';
    return text;
}

/* Whether nothing but a comment follows. */
static bool ends_here(const char *text)
{
    text += strspn(text, SPACE);
    return *text == '\0' || *text == '#';
}

/* The value of a setting, its quotes and the comment behind it taken off. */
static char *unquote(char *text, bool *is_literal)
{
    *is_literal = false;
    if (*text == '\'' || *text == '"') {
        /* As little as possible is between double quotes, and no single quote between single ones. */
        for (char *end = text; (end = strchr(end + 1, *text)) != NULL;) {
            if (ends_here(end + 1)) {
                *is_literal = *text == '\'';
                *end = '\0';
                return text + 1;
            }
            if (*text == '\'')
                break;
        }
    }
    for (char *mark = text; (mark = strchr(mark, '#')) != NULL; mark++)
        if (mark == text || strchr(SPACE, mark[-1]) != NULL) {
            *mark = '\0';
            break;
        }
    return trim(text);
}

bool parse_conf_line(char *line, struct conf_line *parsed)
{
    char *key = trim(line);
    parsed->key = NULL;
    if (*key == '\0' || *key == '#')
        return true;
    char *end = key + strspn(key, LETTERS DIGITS);
    char *value = end + strspn(end, SPACE);
    bool is_setting = *value == '=' || value > end || *value == '\0';
    if (end == key || strchr(DIGITS, *key) != NULL || !is_setting)
        return false;
    if (*value == '=')
        value += 1 + strspn(value + 1, SPACE);
    *end = '\0';
    parsed->key = key;
    parsed->value = unquote(value, &parsed->is_literal);
    return true;
}

bool is_dataset_name(const char *value)
{
    size_t length = strlen(value);
    return strspn(value, LETTERS DIGITS "-.: /") == length && strchr("/-.: " DIGITS, *value) == NULL &&
           value[length - 1] != '/' && strstr(value, "//") == NULL;
}

/* Whether a text begins with another; then it is left behind. */
static bool skip(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(*text, prefix, length) != 0)
        return false;
    *text += length;
    return true;
}

/* The value with its variables replaced. */
static const char *expand(const char *value, bool is_literal, uid_t uid, char *path, size_t size)
{
    size_t length = 0;
    while (*value != '\0') {
        char text[16] = { *value, '\0' };
        if (!is_literal && (skip(&value, "${UID}") || skip(&value, "$(id -u)")))
            snprintf(text, sizeof text, "%u", (unsigned)uid);
        else if (!is_literal && (skip(&value, "${USER}") || skip(&value, "$(id -un)")))
            text[0] = ANY;
        else if (strchr("$`\\\"'*?[]{}", *value) != NULL)
            return "only ${UID}, $(id -u), ${USER} and $(id -un) are understood in this path";
        else if ((unsigned char)*value < ' ' || *value == 0x7f)
            return "the path holds a control character";
        else
            value++;
        size_t more = strlen(text);
        if (length + more >= size)
            return "the path is too long";
        memcpy(path + length, text, more + 1);
        length += more;
    }
    return NULL;
}

/* One form for comparing and showing: no doubled and no final slashes. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *in = path; *in != '\0'; in++)
        if (*in != '/' || (in[1] != '/' && in[1] != '\0'))
            *out++ = *in;
    *out = '\0';
}

static const char *check(const char *path)
{
    bool has_any = false;
    for (const char *part = path; *part == '/';) {
        size_t length = strcspn(++part, "/");
        if ((length == 1 && part[0] == '.') || (length == 2 && strncmp(part, "..", 2) == 0))
            return "no part of the path may be '.' or '..'";
        if (memchr(part, ANY, length) != NULL && (has_any || length > 1))
            return "${USER} or $(id -un) must be a part of the path of its own, and the only one";
        has_any = has_any || memchr(part, ANY, length) != NULL;
        part += length;
    }
    return NULL;
}

const char *expand_data_path(const char *value, bool is_literal, uid_t uid,
                             struct data_path *data_path)
{
    char *path = data_path->path;
    const char *why = expand(value, is_literal, uid, path, sizeof data_path->path);
    if (why != NULL)
        return why;
    if (*path != '/')
        return "it must be an absolute path";
    tidy(path);
    if (*path == '\0')
        return "the store cannot be mounted at /";
    if ((why = check(path)) != NULL)
        return why;
    char *any = strchr(path, ANY);
    data_path->has_any = any != NULL;
    data_path->rest[0] = '\0';
    if (any != NULL) {
        strcpy(data_path->rest, any + 1);
        *any = '\0';
    }
    int length = snprintf(data_path->text, sizeof data_path->text, "%s%s%s", path,
                          any == NULL ? "" : "${USER}", data_path->rest);
    return length < (int)sizeof data_path->text ? NULL : "the path is too long";
}
