/* SHA-256: FIPS 180-4. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* in bytes */
    unsigned char block[64];
};

void sha256_begin(struct sha256 *sum);
void sha256_add(struct sha256 *sum, const unsigned char *bytes, size_t length);

/* The sum in hex, with a NUL. */
void sha256_end(struct sha256 *sum, char hex[65]);

#endif
