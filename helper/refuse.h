/* The one line that a refusal is. */
#ifndef REFUSE_H
#define REFUSE_H

/* Say why not, as one line on standard error without control characters, and end with code 1. */
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, with a code of its own: for a refusal that a program acts on. */
_Noreturn void refuse_with(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
