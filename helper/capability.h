/* The one capability, held back until it is needed. */
#ifndef CAPABILITY_H
#define CAPABILITY_H

/* Give up every capability but CAP_SYS_ADMIN, which is put aside; root keeps reading what it likes. */
void put_capabilities_aside(void);

/* Take CAP_SYS_ADMIN up for the calls that follow. Ends the program, saying what to do about it, when
 * this process has none. */
void raise_capability(void);

/* Put it aside again. errno stays. */
void lower_capability(void);

#endif
