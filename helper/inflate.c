#include "inflate.h"

#include <stdint.h>
#include <string.h>

enum {
    LONGEST_CODE = 15,
    FAST_BITS = 10, /* codes up to this length are found by one look into a table */
    MAX_LITERALS = 288,
    MAX_DISTANCES = 32,
    END_OF_BLOCK = 256,
};

struct input {
    const unsigned char *at, *end;
    uint64_t bits; /* those not used yet, the next one lowest */
    unsigned count;
    bool is_short; /* more was asked for than there is */
};

struct output {
    unsigned char *begin, *at, *end;
};

/* A canonical Huffman code: section 3.2.2. */
struct code {
    uint16_t fast[1 << FAST_BITS]; /* symbol << 4 | length; 0 where the code is longer */
    uint16_t counts[LONGEST_CODE + 1];
    uint16_t symbols[MAX_LITERALS]; /* in the order of their codes */
};

static void refill(struct input *in)
{
    while (in->count <= 56 && in->at < in->end) {
        in->bits |= (uint64_t)*in->at++ << in->count;
        in->count += 8;
    }
}

static unsigned take(struct input *in, unsigned count)
{
    if (in->count < count) {
        refill(in);
        if (in->count < count) {
            in->is_short = true;
            return 0;
        }
    }
    unsigned value = (unsigned)(in->bits & ((UINT64_C(1) << count) - 1));
    in->bits >>= count;
    in->count -= count;
    return value;
}

static unsigned reverse(unsigned bits, unsigned length)
{
    unsigned result = 0;
    for (; length > 0; length--, bits >>= 1)
        result = result << 1 | (bits & 1);
    return result;
}

/* False when more codes are asked for than there are. One that leaves some unused is right for a single
 * distance, and using them fails anyway. */
static bool make_code(struct code *code, const uint8_t *lengths, unsigned n)
{
    uint16_t offsets[LONGEST_CODE + 2] = { 0 };
    unsigned next[LONGEST_CODE + 1] = { 0 };
    memset(code, 0, sizeof *code);
    for (unsigned i = 0; i < n; i++)
        code->counts[lengths[i]]++;
    code->counts[0] = 0;
    unsigned left = 1, first = 0;
    for (unsigned length = 1; length <= LONGEST_CODE; length++) {
        left <<= 1;
        if (code->counts[length] > left)
            return false;
        left -= code->counts[length];
        first = (first + code->counts[length - 1]) << 1;
        next[length] = first;
        offsets[length + 1] = (uint16_t)(offsets[length] + code->counts[length]);
    }
    for (unsigned symbol = 0; symbol < n; symbol++) {
        unsigned length = lengths[symbol];
        if (length == 0)
            continue;
        code->symbols[offsets[length]++] = (uint16_t)symbol;
        unsigned bits = next[length]++;
        if (length <= FAST_BITS)
            for (unsigned i = reverse(bits, length); i < 1u << FAST_BITS; i += 1u << length)
                code->fast[i] = (uint16_t)(symbol << 4 | length);
    }
    return true;
}

/* The next symbol, -1 when there is none. */
static int decode(struct input *in, const struct code *code)
{
    if (in->count < LONGEST_CODE)
        refill(in);
    unsigned found = code->fast[in->bits & ((1u << FAST_BITS) - 1)];
    if (found != 0 && (found & 15) <= in->count) {
        in->bits >>= found & 15;
        in->count -= found & 15;
        return (int)(found >> 4);
    }
    int bits = 0, first = 0, index = 0;
    for (unsigned length = 1; length <= LONGEST_CODE; length++) {
        bits |= (int)take(in, 1);
        if (in->is_short)
            return -1;
        int count = code->counts[length];
        if (bits - count < first)
            return code->symbols[index + (bits - first)];
        index += count;
        first = (first + count) << 1;
        bits <<= 1;
    }
    return -1;
}

/* Section 3.2.5. */
static bool copy_match(struct input *in, struct output *out, const struct code *distances, int symbol)
{
    static const uint16_t bases[] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
    static const uint8_t extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                     2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
    static const uint16_t far[] = { 1,    2,    3,    4,    5,    7,     9,     13,   17,   25,
                                    33,   49,   65,   97,   129,  193,   257,   385,  513,  769,
                                    1025, 1537, 2049, 3073, 4097, 6145,  8193,  12289, 16385, 24577 };
    int kind = symbol - END_OF_BLOCK - 1;
    if (kind >= (int)(sizeof bases / sizeof *bases))
        return false;
    size_t length = bases[kind] + take(in, extra[kind]);
    int place = decode(in, distances);
    if (place < 0 || place >= (int)(sizeof far / sizeof *far))
        return false;
    size_t distance = far[place] + take(in, place < 4 ? 0 : (unsigned)place / 2 - 1);
    if (in->is_short || distance > (size_t)(out->at - out->begin) ||
        length > (size_t)(out->end - out->at))
        return false;
    const unsigned char *from = out->at - distance;
    if (distance >= length) {
        memcpy(out->at, from, length);
        out->at += length;
        return true;
    }
    /* It goes on with what it has just written. */
    while (length-- > 0)
        *out->at++ = *from++;
    return true;
}

static bool inflate_block(struct input *in, struct output *out, const struct code *literals,
                          const struct code *distances)
{
    for (;;) {
        int symbol = decode(in, literals);
        if (symbol == END_OF_BLOCK)
            return true;
        if (symbol < 0)
            return false;
        if (symbol > END_OF_BLOCK) {
            if (!copy_match(in, out, distances, symbol))
                return false;
            continue;
        }
        if (out->at == out->end)
            return false;
        *out->at++ = (unsigned char)symbol;
    }
}

/* Section 3.2.4. */
static bool copy_stored(struct input *in, struct output *out)
{
    take(in, in->count % 8);
    unsigned length = take(in, 16), complement = take(in, 16);
    /* Whole bytes that were read ahead are given back. */
    in->at -= in->count / 8;
    in->bits = 0;
    in->count = 0;
    if (in->is_short || (length ^ complement) != 0xffff || length > (size_t)(in->end - in->at) ||
        length > (size_t)(out->end - out->at))
        return false;
    memcpy(out->at, in->at, length);
    in->at += length;
    out->at += length;
    return true;
}

/* Section 3.2.6. */
static bool fixed_codes(struct code *literals, struct code *distances)
{
    uint8_t lengths[MAX_LITERALS];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    if (!make_code(literals, lengths, MAX_LITERALS))
        return false;
    memset(lengths, 5, MAX_DISTANCES);
    return make_code(distances, lengths, MAX_DISTANCES);
}

/* Section 3.2.7. */
static bool read_codes(struct input *in, struct code *literals, struct code *distances)
{
    static const uint8_t order[] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                     11, 4,  12, 3, 13, 2, 14, 1, 15 };
    uint8_t lengths[MAX_LITERALS + MAX_DISTANCES] = { 0 };
    unsigned n_literals = take(in, 5) + 257, n_distances = take(in, 5) + 1, n = take(in, 4) + 4;
    if (in->is_short || n_literals > MAX_LITERALS)
        return false;
    for (unsigned i = 0; i < n; i++)
        lengths[order[i]] = (uint8_t)take(in, 3);
    if (!make_code(literals, lengths, sizeof order))
        return false;
    memset(lengths, 0, sizeof order);
    for (unsigned at = 0; at < n_literals + n_distances;) {
        int symbol = decode(in, literals);
        if (symbol < 0 || (symbol == 16 && at == 0))
            return false;
        if (symbol < 16) {
            lengths[at++] = (uint8_t)symbol;
            continue;
        }
        uint8_t value = symbol == 16 ? lengths[at - 1] : 0;
        unsigned times = symbol == 16 ? 3 + take(in, 2) : symbol == 17 ? 3 + take(in, 3) : 11 + take(in, 7);
        if (in->is_short || times > n_literals + n_distances - at)
            return false;
        memset(lengths + at, value, times);
        at += times;
    }
    return make_code(literals, lengths, n_literals) &&
           make_code(distances, lengths + n_literals, n_distances);
}

bool inflate(const unsigned char *in_bytes, size_t in_size, unsigned char *out_bytes, size_t out_size)
{
    static struct code literals, distances;
    struct input in = { .at = in_bytes, .end = in_bytes + in_size };
    struct output out = { .begin = out_bytes, .at = out_bytes, .end = out_bytes + out_size };
    for (bool is_last = false; !is_last;) {
        is_last = take(&in, 1);
        unsigned type = take(&in, 2);
        if (in.is_short || type == 3)
            return false;
        bool ok = type == 0 ? copy_stored(&in, &out)
                            : (type == 1 ? fixed_codes(&literals, &distances)
                                         : read_codes(&in, &literals, &distances)) &&
                                  inflate_block(&in, &out, &literals, &distances);
        if (!ok)
            return false;
    }
    return out.at == out.end;
}
