/* The environment that the runtime gets. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/*
 * A new environment: variables that would steer the runtime are renamed to ENROOT_CALLER_ENV_NAME,
 * ENROOT_CALLER_STATE says what else the caller gave, and the extra ones, NULL-terminated, come last.
 * lib/process/caller.ts reads it back. Never freed. Ends the program when memory runs out.
 */
char **caller_environment(char **environment, const char *invoked_as, const char *executable,
                          const char *const *extra);

#endif
