/* Deflated data: RFC 1951. */
#ifndef INFLATE_H
#define INFLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Inflate what was deflated from exactly `out_size` bytes. False when it was not, or is damaged; what is
 * in `out` is then of no use. */
bool inflate(const unsigned char *in, size_t in_size, unsigned char *out, size_t out_size);

#endif
