/*
 * gate.c - the program granary-gate: a task that waits at its gate, in as little memory as a process can have.
 *
 *   granary-gate's arguments:  the granary program, the file to execute, and the task's own words from argv[0] on
 *   descriptor 3:              the gate: 16 bytes open it, the numbers of the claim and of the allocation
 *   the first two variables:   GRANARY_CLAIM and GRANARY_ALLOCATION, each ending in room for 20 digits
 *
 * A harvest starts it by vfork: to copy the harvest's own address space for each task, only to throw the copy away,
 * costs more than everything else that is done for a short task. It is put under its limit while it waits. When its
 * gate closes unopened, the harvest is gone: it ends, and nothing has run. A file that the kernel does not execute is
 * left to `granary exec-task`, which knows scripts without a first line, and words for people.
 *
 * No C library is linked: starting one costs as much again. On machines that are not named below, and where
 * GATE_PORTABLE is defined, it is a plain C program all the same.
 */
#include <asm/unistd.h>
#include <stdbool.h>

#define GATE_FD     3
#define GATE_BROKEN 125 /* as granary_gate_wait() */
#define NOT_RUN     126
#define DIGITS      20 /* of the greatest number of 64 bits */

static _Noreturn void gate_wait(long count, char **arguments, char **environment);

#if defined(GATE_PORTABLE) || !(defined(__x86_64__) || defined(__aarch64__))

#include <errno.h>
#include <unistd.h>

static long call_kernel(long number, long a, long b, long c)
{
    const long result = syscall(number, a, b, c);

    return result < 0 ? -errno : result;
}

int main(int count, char **arguments, char **environment)
{
    gate_wait(count, arguments, environment);
}

#else /* bin/meson.build names the same machines */

_Noreturn void gate_main(long *stack);

/* What the kernel lays on the stack: the count of arguments, them, NULL, the environment, NULL. */
__attribute__((used)) _Noreturn void gate_main(long *stack)
{
    gate_wait(stack[0], (char **)(stack + 1), (char **)(stack + 1) + stack[0] + 1);
}

#if defined(__x86_64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call gate_main\n");

static long call_kernel(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

#else

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x0, sp\n"
        "    bl gate_main\n");

static long call_kernel(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}

#endif
#endif

static _Noreturn void leave(long status)
{
    for (;;)
        (void)call_kernel(__NR_exit_group, status, 0, 0);
}

/* Writes the number where the variable keeps room for it. */
static void put_number(char *variable, unsigned long long value)
{
    char digits[DIGITS] = "";
    unsigned n = 0;
    char *end = variable;

    while (*end)
        end++;
    if (end - variable < DIGITS)
        leave(GATE_BROKEN); /* not ours */
    end -= DIGITS;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n > 0)
        *end++ = digits[--n];
    *end = '\0';
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* To people who start it by hand. */
static _Noreturn void tell(const char *asked)
{
    static const char what[] =
        "granary-gate: a task waits in it for its memory; granary harvest starts it: see granary-harvest(1)\n";
    static const char version[] = "granary-gate " VERSION_TEXT "\n";

    if (equal(asked, "--version"))
        (void)call_kernel(__NR_write, 1, (long)version, sizeof version - 1);
    else
        (void)call_kernel(__NR_write, equal(asked, "--help") ? 1 : 2, (long)what, sizeof what - 1);
    leave(equal(asked, "--version") || equal(asked, "--help") ? 0 : GATE_BROKEN);
}

static _Noreturn void gate_wait(long count, char **arguments, char **environment)
{
    static char failed[] = "exec-task";
    unsigned long long numbers[2] = {0, 0};
    long got;

    if (count < 3)
        tell(count > 1 ? arguments[1] : "");
    if (!environment[0] || !environment[1])
        leave(GATE_BROKEN);
    do
        got = call_kernel(__NR_read, GATE_FD, (long)numbers, sizeof numbers);
    while (got == -4); /* EINTR */
    if (got != sizeof numbers)
        leave(GATE_BROKEN);
    (void)call_kernel(__NR_close, GATE_FD, 0, 0);
    put_number(environment[0], numbers[0]);
    put_number(environment[1], numbers[1]);
    (void)call_kernel(__NR_execve, (long)arguments[1], (long)(arguments + 2), (long)environment);
    arguments[1] = failed;
    (void)call_kernel(__NR_execve, (long)arguments[0], (long)arguments, (long)environment);
    leave(NOT_RUN);
}
