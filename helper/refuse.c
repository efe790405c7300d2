#include "refuse.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void say_and_end(int code, const char *format, va_list values)
{
    static const char program[] = "enroot-zfs-mount: ";
    static char line[4 * PATH_MAX];
    size_t length = strlen(program), room = sizeof line - length - 1;

    memcpy(line, program, length);
    int wanted = vsnprintf(line + length, room, format, values);
    if (wanted > 0)
        length += (size_t)wanted < room ? (size_t)wanted : room - 1;
    /* Names are the caller's, and the terminal may be an administrator's who reads a log. */
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    /* Where nobody listens, the exit code says it all the same. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    _exit(code);
}

void refuse(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_and_end(1, format, values);
}

void refuse_with(int code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_and_end(code, format, values);
}
