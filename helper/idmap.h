/* Mounts that show root's files as a user's. */
#ifndef IDMAP_H
#define IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

/* How the program ends where this kernel, or its ZFS, has no idmapped mounts, or the caller may make no
 * user namespace: he then does without. Any other refusal ends it with 1. */
enum { EXIT_WITHOUT_IDMAP = 3 };

/*
 * Whether a folder is the root of a template that root filled, or of a copy of one: it belongs to root,
 * and has the attribute `trusted.enroot.template`, which only root sets (docs/zfs.md).
 */
bool is_template(int folder);

/*
 * Have a detached mount show what belongs to uid 0 and gid 0 as this user's and group's, who are the
 * caller's own; what belongs to anybody else, as nobody's. What is written through it by him is root's.
 * Ends the program when it cannot be done.
 */
void show_as(int mount, uid_t uid, gid_t gid, const char *dataset);

#endif
