/*
 * In a user namespace with one id, chown(2), setuid(2) and their like can only fail, and package
 * managers and daemons give up over it. The filter lets them succeed and do nothing.
 *
 * The numbers of a call differ by the ABI it is made through, and a program may use any ABI that the
 * kernel runs, so each has a list of its own.
 */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CALLS 32

struct abi {
    uint32_t arch;
    uint32_t mask; /* taken off the number before it is compared */
    uint32_t calls[MAX_CALLS]; /* ends with 0, which is none of ours in any ABI */
};

static const struct abi abis[] = {
    {
#if defined(__x86_64__)
        /* x32 makes the same calls with this bit set. */
        .arch = AUDIT_ARCH_X86_64, .mask = 0x40000000,
#elif defined(__aarch64__)
        .arch = AUDIT_ARCH_AARCH64, .mask = 0,
#elif defined(__powerpc64__)
        .arch = AUDIT_ARCH_PPC64LE, .mask = 0,
#else
#error "the calls of this architecture are not listed"
#endif
        .calls = {
#ifdef __NR_chown
            __NR_chown, __NR_lchown,
#endif
            __NR_fchown, __NR_fchownat, __NR_setuid, __NR_setgid, __NR_setreuid, __NR_setregid,
            __NR_setresuid, __NR_setresgid, __NR_setgroups, __NR_setfsuid, __NR_setfsgid,
        },
    },
#if defined(__x86_64__)
    {
        .arch = AUDIT_ARCH_I386, .mask = 0,
        /* asm/unistd_32.h: the calls with 16-bit ids, then those with 32-bit ids. */
        .calls = { 182, 95, 16, 298, 23, 46, 70, 71, 164, 170, 81, 138, 139,
                   212, 207, 198, 213, 214, 203, 204, 208, 210, 206, 215, 216 },
    },
#elif defined(__aarch64__)
    {
        .arch = AUDIT_ARCH_ARM, .mask = 0,
        /* arm's asm/unistd.h, as above. */
        .calls = { 182, 95, 16, 325, 23, 46, 70, 71, 164, 170, 81, 138, 139,
                   212, 207, 198, 213, 214, 203, 204, 208, 210, 206, 215, 216 },
    },
#endif
};

#define N_ABIS (sizeof abis / sizeof *abis)

static struct sock_filter program[N_ABIS * (MAX_CALLS + 6) + 2];
static unsigned short length;

static void emit(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
    program[length++] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
}

int install_identity_filter(void)
{
    length = 0;
    for (size_t i = 0; i < N_ABIS; i++) {
        uint8_t n = 0;
        while (n < MAX_CALLS && abis[i].calls[n] != 0)
            n++;
        /* Another ABI: on to the next list, behind the 2 + n + 2 instructions of this one. */
        emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
        emit(BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(n + 4), abis[i].arch);
        emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
        emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, ~abis[i].mask);
        for (uint8_t j = 0; j < n; j++)
            emit(BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(n - j), 0, abis[i].calls[j]);
        emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
        emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 0);
    }
    emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

    struct sock_fprog prog = { .len = length, .filter = program };
#ifdef ENROOT_HARDENED
    const unsigned flags = 0;
#else
    /* Without this flag older kernels turn on costly mitigations for everything that is filtered. */
    const unsigned flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
#endif
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog) == 0)
        return 0;
    return errno == EINVAL ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) : -1;
}
