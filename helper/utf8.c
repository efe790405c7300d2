#include "utf8.h"

#include <stddef.h>

/* How many bytes follow a first one, and the range of the next: table 3-7 of the Unicode standard. */
static const struct {
    unsigned char first, last, count, low, high;
} forms[] = {
    { 0x01, 0x7f, 0, 0, 0 },       { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
    { 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
    { 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* The end of the character at `at`, NULL where none begins. */
static const unsigned char *skip_character(const unsigned char *at)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*at < forms[i].first || *at > forms[i].last)
            continue;
        for (unsigned char n = 0; n < forms[i].count; n++) {
            unsigned char low = n == 0 ? forms[i].low : 0x80, high = n == 0 ? forms[i].high : 0xbf;
            at++;
            if (*at < low || *at > high)
                return NULL;
        }
        return at + 1;
    }
    return NULL;
}

bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (at != NULL && *at != '\0')
        at = skip_character(at);
    return at != NULL;
}
