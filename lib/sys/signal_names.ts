/**
 * Signals by their numbers.
 *
 * @module
 */

/** Names of the signals that end programs, as `kill -l` has them. Source: signal(7), for x86 and ARM. */
export const signalNames: Readonly<Record<number, Deno.Signal>> = {
  ...{
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
  },
  ...{ 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE" },
  ...{ 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS" },
};
