#include "dataset.h"

#include "refuse.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(unsigned char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* The byte that ':hh' stands for; text ends with a NUL, so no digit is read behind its end. */
static unsigned char decode_byte(const char *text, const char *name)
{
    int high = hex_digit(text[1]);
    int low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0)
        refuse("'%s': a ':' must be followed by two lower-case hex digits", name);
    unsigned char byte = (unsigned char)(high * 16 + low);
    if (is_plain(byte))
        refuse("'%s': '%.3s' stands for a byte that is written as it is", name, text);
    if (byte < ' ' || byte == 0x7f || byte == '/')
        refuse("'%s': '%.3s' stands for a byte that no name may hold", name, text);
    return byte;
}

/* Decode one part; returns its length in the dataset's name. */
static size_t decode_part(const char *text, const char *name, char *folder)
{
    size_t used = 0, length = 0;
    while (text[used] != '\0' && text[used] != '/') {
        unsigned char byte = (unsigned char)text[used];
        if (length == NAME_MAX)
            refuse("'%s': a part of the name is too long for a folder", name);
        if (is_plain(byte)) {
            used++;
        } else if (byte == ':') {
            byte = decode_byte(text + used, name);
            used += 3;
        } else {
            refuse("'%s': below the store a name holds letters, digits, '.', '_', '-' and ':hh' only",
                   name);
        }
        folder[length++] = (char)byte;
    }
    folder[length] = '\0';
    if (length == 0)
        refuse("'%s': a part of the name is empty", name);
    if (strcmp(folder, ".") == 0 || strcmp(folder, "..") == 0)
        refuse("'%s': no part of the name may be '.' or '..'", name);
    return used;
}

void parse_dataset(const char *name, const char *store, struct dataset *dataset)
{
    size_t length = strlen(name), at = strlen(store);
    if (length > DATASET_LENGTH)
        refuse("the name of a dataset has at most %d bytes, this one has %zu", DATASET_LENGTH, length);
    if (strncmp(name, store, at) != 0 || (name[at] != '\0' && name[at] != '/'))
        refuse("'%s' is neither your store '%s' nor below it: nothing else is mounted or unmounted",
               name, store);
    memcpy(dataset->name, name, length + 1);
    dataset->n_parts = 0;
    while (name[at] == '/') {
        if (dataset->n_parts == LEVELS)
            refuse("'%s' is more than %d levels below the store", name, LEVELS);
        at += 1 + decode_part(name + at + 1, name, dataset->parts[dataset->n_parts].folder);
        dataset->parts[dataset->n_parts++].end = at;
    }
}
