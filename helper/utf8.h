/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

bool is_utf8(const char *text);

#endif
