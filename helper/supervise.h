/* Running the command as a child, where a process namespace asks for one. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <stdbool.h>

/*
 * Go on in a child, in the process namespace that was made or joined; this process stays behind for it
 * and never returns from here. It hands on the signals that it gets, stops when the command stops, and
 * ends as the command ends: with its exit code, or by the same signal. When it is killed, so is the
 * command.
 *
 * With `is_new` the first process of the namespace is one of ours, which does nothing but reap what
 * others leave: as the first process the command would be deaf to every signal that it does not handle.
 * When the command has ended, everything in the namespace is killed.
 *
 * Ends the program on failure.
 */
void fork_command(bool is_new);

#endif
