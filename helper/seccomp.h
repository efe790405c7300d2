/* The filter that makes changes of identity and ownership succeed without effect. */
#ifndef SECCOMP_H
#define SECCOMP_H

/* Install it for this process and all that come of it. Returns 0, or -1 with errno. */
int install_identity_filter(void);

#endif
