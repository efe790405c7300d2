#include "supervise.h"

#include "descriptors.h"
#include "report.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* How the signals were before this process took them. */
struct dispositions {
    sigset_t mask;
    struct sigaction of_children;
};

static void take_signals(struct dispositions *before)
{
    struct sigaction usual;
    sigset_t all;
    memset(&usual, 0, sizeof usual);
    usual.sa_handler = SIG_DFL;
    sigfillset(&all);
    /* Whoever ignores SIGCHLD is told nothing of his children. */
    if (sigprocmask(SIG_SETMASK, &all, &before->mask) < 0 ||
        sigaction(SIGCHLD, &usual, &before->of_children) < 0)
        fail("cannot take over signals: %s", strerror(errno));
}

static void give_back_signals(const struct dispositions *before)
{
    if (sigaction(SIGCHLD, &before->of_children, NULL) < 0 ||
        sigprocmask(SIG_SETMASK, &before->mask, NULL) < 0)
        fail("cannot give back signals: %s", strerror(errno));
}

/* The first process of a namespace: it lives as long as the other end of a pipe is open. What ends it
 * ends the namespace, and the kernel closes the other end of a process however that ended. */
static _Noreturn void be_init(int pipe_end)
{
    char byte;
    setsid();
    prctl(PR_SET_NAME, "enroot-init");
    signal(SIGCHLD, SIG_IGN);
    drop_standard();
    close_others(&pipe_end, 1);
    /* Folders outside the root are let go of, and the root is exchanged later on. */
    if (chdir("/") < 0)
        _exit(1);
    while (read(pipe_end, &byte, 1) < 0 && errno == EINTR)
        continue;
    _exit(0);
}

static pid_t start_init(int *lifeline)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("cannot make a pipe: %s", strerror(errno));
    pid_t init = fork();
    if (init < 0)
        fail("cannot start the first process of a namespace: %s", strerror(errno));
    if (init == 0)
        be_init(ends[0]);
    close(ends[0]);
    *lifeline = ends[1];
    return init;
}

/* What became of the command: true when it has ended. */
static bool look_after(pid_t command, int *status)
{
    bool is_stopped = false;
    for (;;) {
        int state;
        pid_t child = waitpid(command, &state, WNOHANG | WUNTRACED | WCONTINUED);
        if (child < 0 && errno == EINTR)
            continue;
        if (child <= 0)
            break;
        if (WIFEXITED(state) || WIFSIGNALED(state)) {
            *status = state;
            return true;
        }
        is_stopped = WIFSTOPPED(state);
    }
    /* Whoever waits for this process is to see what the command does. SIGCONT comes back as a signal
     * to hand on. */
    if (is_stopped)
        kill(getpid(), SIGSTOP);
    return false;
}

static int wait_for_command(pid_t command)
{
    sigset_t all;
    int status = 0;
    sigfillset(&all);
    for (;;) {
        siginfo_t information;
        int number = sigwaitinfo(&all, &information);
        if (number == SIGCHLD) {
            if (look_after(command, &status))
                return status;
        } else if (number > 0 && information.si_code <= 0) {
            /* Those of the terminal (si_code > 0, the kernel's) go to the command by themselves. */
            kill(command, number);
        }
    }
}

static _Noreturn void end_like(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    int number = WTERMSIG(status);
    struct rlimit none = { 0, 0 };
    sigset_t one;
    /* The core is the command's. */
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    kill(getpid(), number);
    _exit(128 + number);
}

void fork_command(bool is_new)
{
    struct dispositions before;
    int lifeline = -1;
    take_signals(&before);
    pid_t init = is_new ? start_init(&lifeline) : 0;
    pid_t command = fork();
    if (command < 0)
        fail("cannot start the command: %s", strerror(errno));
    if (command == 0) {
        /* In another's namespace nothing else ends it with its parent, which is outside of it: 0. */
        if (!is_new && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != 0))
            _exit(1);
        give_back_signals(&before);
        return;
    }
    close_others(&lifeline, 1);
    /* A working directory of the host's would keep what is mounted there in use. */
    if (chdir("/") < 0)
        fail("cannot change to /: %s", strerror(errno));
    int status = wait_for_command(command);
    close(lifeline);
    while (init > 0 && waitpid(init, NULL, 0) < 0 && errno == EINTR)
        continue;
    end_like(status);
}
