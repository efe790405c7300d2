/* Removing a tree. */
#ifndef REMOVE_H
#define REMOVE_H

/* Remove a folder with all that is in it, as far as this user may. Symbolic links are not followed, and
 * folders that their owner may not write are opened up. */
void remove_tree(const char *path);

#endif
