/* What must be out of reach on a mount: the snapshots of its dataset. */
#ifndef SNAPSHOTS_H
#define SNAPSHOTS_H

#include <stdbool.h>

/*
 * Refuse a mount through which the dataset's snapshots can be entered: whoever opens one below its
 * `.zfs` has the kernel mount it, with set-id programs and devices, and with nobody shown as another,
 * whatever this mount is. A user may fill a dataset with both, by `zfs receive`.
 *
 * They are put out of reach by `snapdir=disabled`, which OpenZFS has since 2.3. Before that a dataset of
 * the caller's own is let pass, as there is no remedy that a mount could have.
 *
 * is_lent: what is mounted are files of root's, which are shown as the caller's
 */
void check_snapshots(int mount, const char *dataset, const char *store, bool is_lent);

#endif
