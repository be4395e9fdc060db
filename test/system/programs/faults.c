/*
 * faults.c - a shared object for LD_PRELOAD: allocations of memory that fail, and a wall clock that jumps.
 *
 * For tests only; no program of Granary is linked with it. GRANARY_FAULTS names a file, mapped by every process
 * that is meant and by the test, which writes the plan into it whenever it likes: also while a daemon runs.
 * GRANARY_FAULTS_IN names the program that is meant ("" or unset: every one); in others nothing is changed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The file; test/system/faults.py packs the same. */
typedef struct {
    _Atomic int64_t left;   /* allocations until one fails; 0 = none will */
    _Atomic int64_t seen;   /* allocations so far, of all that are meant */
    _Atomic int32_t sticky; /* after the first failure all fail, in that process */
    _Atomic int32_t failed; /* pid of the process in which it failed; 0 = not yet */
    _Atomic int64_t wall_s; /* added to what the wall clock says, in seconds */
    _Atomic int64_t asked;  /* how often the wall clock was looked at */
} plan;

_Static_assert(sizeof(plan) == 40, "as faults.py packs it");

static plan *active; /* NULL: this process is not meant */

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("GRANARY_FAULTS"), *in = getenv("GRANARY_FAULTS_IN");
    if (!path || (in && *in && strcmp(in, program_invocation_short_name) != 0))
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    plan *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        active = mapped;
}

/* The definition that this one hides. */
static void *hidden(const char *name)
{
    static _Thread_local bool asking;
    if (asking)
        return NULL;
    asking = true;
    void *found = dlsym(RTLD_NEXT, name);
    asking = false;
    return found;
}

/* ---- memory ---- */

static bool fails(void)
{
    if (!active)
        return false;
    atomic_fetch_add(&active->seen, 1);
    int32_t failed = atomic_load(&active->failed);
    bool now;
    if (failed)
        now = atomic_load(&active->sticky) && failed == getpid();
    else
        now = atomic_load(&active->left) > 0 && atomic_fetch_sub(&active->left, 1) == 1;
    if (!now)
        return false;
    if (!failed)
        atomic_store(&active->failed, getpid());
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (!next)
        next = (void *(*)(size_t))hidden("malloc");
    return !next || fails() ? NULL : next(size);
}

void *calloc(size_t n, size_t size)
{
    static void *(*next)(size_t, size_t);
    if (!next)
        next = (void *(*)(size_t, size_t))hidden("calloc");
    return !next || fails() ? NULL : next(n, size);
}

void *realloc(void *p, size_t size)
{
    static void *(*next)(void *, size_t);
    if (!next)
        next = (void *(*)(void *, size_t))hidden("realloc");
    return !next || (size > 0 && fails()) ? NULL : next(p, size);
}

/* ---- the wall clock ---- */

static int64_t wall_offset(void)
{
    if (!active)
        return 0;
    atomic_fetch_add(&active->asked, 1);
    return atomic_load(&active->wall_s);
}

int clock_gettime(clockid_t clock, struct timespec *to)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))hidden("clock_gettime");
    int r = next(clock, to);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        to->tv_sec += wall_offset();
    return r;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone)
{
    static int (*next)(struct timeval *, void *);
    if (!next)
        next = (int (*)(struct timeval *, void *))hidden("gettimeofday");
    int r = next(to, zone);
    if (r == 0)
        to->tv_sec += wall_offset();
    return r;
}

time_t time(time_t *to)
{
    static time_t (*next)(time_t *);
    if (!next)
        next = (time_t(*)(time_t *))hidden("time");
    time_t now = next(NULL) + wall_offset();
    if (to)
        *to = now;
    return now;
}
