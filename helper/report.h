/* Messages for the person at the terminal. */
#ifndef REPORT_H
#define REPORT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* End with one line; the reason is appended. */
#define fail(...) (fail_code(1, __VA_ARGS__))

#define fail_code(code, ...) \
    (fputs("[ERROR] ", stderr), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(code))

#endif
