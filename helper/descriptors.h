/* Letting go of what the caller has open. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stddef.h>

/* Close everything above 2 but these, wherever /proc is. */
void close_others(const int *kept, size_t count);

/* Make the standard three /dev/null: whoever reads the other ends must not wait for this process. */
void drop_standard(void);

#endif
