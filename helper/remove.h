/* Removing a tree. */
#ifndef REMOVE_H
#define REMOVE_H

/* Remove a folder with all that is in it, as far as this user may. Symbolic links are not followed,
 * folders that their owner may not write are opened up, and what is mounted below stays as it is, with
 * the folders above it.
 *
 * path: an absolute one */
void remove_tree(const char *path);

#endif
