/*
 * cgroup_v2: on a temporary folder that stands for the tree. What the kernel does by itself is done by the wrapped
 * calls: a new folder gets its files, and a removed one need not be empty of them; and calls fail as they would there.
 */
#include "tree.h"

#include <stdbool.h>

#include "agent/cgroup.h"
#include "base/status.h"

static const struct {
    const char *name, *text;
} files[] = {
    {"cgroup.procs", ""},
    {"cgroup.subtree_control", ""},
    {"cgroup.events", "populated 0\nfrozen 0\n"},
    {"cgroup.kill", ""},
    {"memory.stat", "anon 0\nfile 0\nkernel 0\nshmem 0\n"},
    {"memory.current", "0\n"},
    {"memory.peak", "0\n"},
    {"memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"},
    {"memory.max", "max\n"},
    {"memory.oom.group", "0\n"},
    {"memory.swap.max", "max\n"},
    {"memory.reclaim", ""},
};
#define N_FILES (sizeof files / sizeof *files)

static struct {
    const char *without;      /* this file is not made */
    int read_error, left;     /* the next `left` reads fail so */
    size_t read_most;         /* one read brings no more; 0 = all */
    int write_error, written; /* the next `written` writes fail so */
    bool no_reset;            /* memory.peak takes no reset */
} kernel;

int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_unlinkat(int dir, const char *name, int flags);
ssize_t __real_pread64(int fd, void *to, size_t size, off_t offset);
ssize_t __real_pwrite64(int fd, const void *from, size_t size, off_t offset);
ssize_t __real_write(int fd, const void *from, size_t size);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_unlinkat(int dir, const char *name, int flags);
ssize_t __wrap_pread64(int fd, void *to, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t size, off_t offset);
ssize_t __wrap_write(int fd, const void *from, size_t size);

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    int r = __real_mkdirat(dir, name, mode);
    int made = r < 0 ? -1 : openat(dir, name, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; made >= 0 && i < N_FILES; i++) {
        if (kernel.without && strcmp(kernel.without, files[i].name) == 0)
            continue;
        int fd = openat(made, files[i].name, O_WRONLY | O_CREAT, 0644);
        assert_int_equal(__real_write(fd, files[i].text, strlen(files[i].text)), strlen(files[i].text));
        close(fd);
    }
    if (made >= 0)
        close(made);
    return r;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    int folder = openat(dir, name, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; folder >= 0 && i < N_FILES; i++)
        (void)__real_unlinkat(folder, files[i].name, 0);
    if (folder >= 0)
        close(folder);
    return __real_unlinkat(dir, name, flags);
}

ssize_t __wrap_pread64(int fd, void *to, size_t size, off_t offset)
{
    if (kernel.left > 0) {
        kernel.left--;
        errno = kernel.read_error;
        return -1;
    }
    return __real_pread64(fd, to, kernel.read_most && size > kernel.read_most ? kernel.read_most : size, offset);
}

ssize_t __wrap_pwrite64(int fd, const void *from, size_t size, off_t offset)
{
    if (kernel.no_reset && size == 5 && memcmp(from, "reset", 5) == 0) {
        errno = EINVAL;
        return -1;
    }
    return __real_pwrite64(fd, from, size, offset);
}

ssize_t __wrap_write(int fd, const void *from, size_t size)
{
    if (kernel.written > 0) {
        kernel.written--;
        errno = kernel.write_error;
        return -1;
    }
    (void)!ftruncate(fd, 0); /* a write is a value of its own */
    lseek(fd, 0, SEEK_SET);
    return __real_write(fd, from, size);
}

typedef struct {
    tree tree;
    procfs proc;
    backend_options options;
    backend *b;
    char reason[REASON_MAX];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    memset(&kernel, 0, sizeof kernel);
    tree_make(&f->tree);
    assert_int_equal(procfs_open(&f->proc, f->tree.root), 0);
    tree_text(&f->tree, "self/cgroup", "0::/service\n");
    tree_text(&f->tree, "self/mountinfo", "32 1 0:28 / /cg rw,relatime - cgroup2 cgroup2 rw\n");
    tree_text(&f->tree, "cg/service/cgroup.controllers", "cpu memory pids\n");
    tree_text(&f->tree, "cg/service/cgroup.procs", "");
    tree_text(&f->tree, "cg/service/cgroup.subtree_control", "");
    f->options = (backend_options){.proc = &f->proc, .cgroup_root = f->tree.root};
    assert_int_equal(cgroup_v2_create(&f->b, &f->options, f->reason), 0);
    assert_int_equal(f->b->ops->books(f->b, "b"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    memset(&kernel, 0, sizeof kernel);
    f->b->ops->destroy(f->b);
    procfs_close(&f->proc);
    tree_remove(&f->tree);
    free(f);
    return 0;
}

#define GROUP "cg/service/granary.b/c7/"

static void says(const fixture *f, const char *path, const char *expected)
{
    char text[256];
    tree_read(&f->tree, path, text, sizeof text);
    assert_string_equal(text, expected);
}

static group *opened(fixture *f)
{
    group *g = NULL;
    bool made = false;
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(64), true, &g, &made), 0);
    assert_true(made);
    return g;
}

static void where_it_cannot_be_used(void **state)
{
    fixture *f = *state;
    backend *b = NULL;
    tree_text(&f->tree, "cg/service/cgroup.controllers", "cpu memory_of_mine\n");
    assert_int_equal(cgroup_v2_create(&b, &f->options, f->reason), STATUS_NOT_FOUND);
    assert_string_equal(f->reason, "the memory controller is not in this agent's cgroup v2 group");
    tree_text(&f->tree, "cg/service/cgroup.controllers", "memory\n");
    kernel.write_error = EACCES;
    kernel.written = 1;
    assert_int_equal(cgroup_v2_create(&b, &f->options, f->reason), STATUS_NOT_FOUND);
    assert_string_equal(f->reason, "the memory controller is not delegated to this user");
    tree_text(&f->tree, "self/mountinfo", "");
    assert_int_equal(cgroup_v2_create(&b, &f->options, f->reason), STATUS_NOT_FOUND);
    assert_string_equal(f->reason, "no cgroup v2 tree is mounted");
    assert_null(b);
    says(f, "cg/service/cgroup.subtree_control", "+memory");
}

static void a_new_group_has_its_limits(void **state)
{
    fixture *f = *state;
    group *again;
    bool made = true;
    generations list;
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(64), false, &again, &made), STATUS_NOT_FOUND);
    group *g = opened(f);
    says(f, "cg/service/granary.b/cgroup.subtree_control", "+memory");
    says(f, GROUP "memory.max", "67108864");
    says(f, GROUP "memory.oom.group", "1");
    says(f, GROUP "memory.swap.max", "0");
    tree_text(&f->tree, GROUP "memory.max", "1\n");
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(64), true, &again, &made), 0);
    assert_false(made);
    says(f, GROUP "memory.max", "1\n"); /* found, not made: its limit is what was ordered last */
    f->b->ops->close(again);
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0], 7);
    free(list.items);
    assert_int_equal(f->b->ops->remove(g), 0);
    assert_int_equal(f->b->ops->remove(g), 0);
    f->b->ops->close(g);
    f->b->ops->close(NULL);
}

static void a_kernel_without_swap_is_fine_and_one_without_limits_is_not(void **state)
{
    fixture *f = *state;
    group *g;
    bool made;
    kernel.without = "memory.swap.max";
    g = opened(f);
    f->b->ops->remove(g);
    f->b->ops->close(g);
    const char *needed[] = {"memory.max", "memory.oom.group", "memory.stat", "memory.events", "cgroup.procs"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        generations list;
        kernel.without = needed[i];
        assert_true(f->b->ops->open(f->b, 7, MIB(64), true, &g, &made) < 0);
        assert_int_equal(f->b->ops->list(f->b, &list), 0);
        assert_int_equal(list.count, 0); /* no trace */
        free(list.items);
    }
}

static void use_is_what_cannot_be_dropped(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    bytes_t n = 0;
    tree_text(&f->tree, GROUP "memory.stat", "anon 4096\nfile 1000000\nkernel 1024\nkernel_stack 512\nshmem 8192\n");
    assert_int_equal(f->b->ops->use(g, &n), 0);
    assert_int_equal(n, 4096 + 1024 + 8192);
    tree_text(&f->tree, GROUP "memory.stat",
              "anon 4096\nfile 1\nkernel_stack 100\npagetables 20\npercpu 3\nvmalloc 4000\nshmem 8192\nslab 50000\n");
    assert_int_equal(f->b->ops->use(g, &n), 0); /* an older kernel: the parts */
    assert_int_equal(n, 4096 + 8192 + 54123);
    tree_text(&f->tree, GROUP "memory.current", "1234567\n");
    assert_int_equal(f->b->ops->charged(g, &n), 0);
    assert_int_equal(n, 1234567);
    tree_text(&f->tree, GROUP "memory.current", "nonsense\n");
    assert_int_equal(f->b->ops->charged(g, &n), STATUS_CORRUPT);
    f->b->ops->close(g);
}

static void interrupted_and_short_reads_are_read_on(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    bytes_t n = 0;
    tree_text(&f->tree, GROUP "memory.stat", "anon 4096\nkernel 1024\nshmem 8192\n");
    kernel.read_error = EINTR;
    kernel.left = 3;
    assert_int_equal(f->b->ops->use(g, &n), 0);
    assert_int_equal(n, 4096 + 1024 + 8192);
    tree_text(&f->tree, GROUP "memory.current", "1234567\n");
    for (kernel.read_most = 1; kernel.read_most < 7; kernel.read_most++) {
        assert_int_equal(f->b->ops->charged(g, &n), 0);
        assert_int_equal(n, 1234567);
    }
    kernel.read_most = 0;
    kernel.write_error = EINTR;
    kernel.written = 2;
    assert_int_equal(f->b->ops->limit(g, MIB(32)), 0);
    says(f, GROUP "memory.max", "33554432");
    f->b->ops->close(g);
}

static void a_vanished_group_is_not_found(void **state)
{
    fixture *f = *state;
    group *g = opened(f), *again;
    bool made = false;
    bytes_t n = 5;
    kernel.read_error = ENODEV;
    kernel.left = 3;
    assert_int_equal(f->b->ops->use(g, &n), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->charged(g, &n), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->limit(g, MIB(1)), STATUS_NOT_FOUND);
    assert_int_equal(n, 5);
    kernel.write_error = ENODEV;
    kernel.written = 1;
    assert_int_equal(f->b->ops->attach(g, 1), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->remove(g), 0);
    pids inside = {0};
    assert_int_equal(f->b->ops->processes(g, &inside), STATUS_NOT_FOUND);
    /* and the folder of the books with it */
    char path[256];
    snprintf(path, sizeof path, "%s/cg/service/granary.b", f->tree.root);
    assert_int_equal(__wrap_unlinkat(AT_FDCWD, path, AT_REMOVEDIR), 0);
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(8), true, &again, &made), 0);
    assert_true(made);
    says(f, "cg/service/granary.b/cgroup.subtree_control", "+memory");
    says(f, GROUP "memory.max", "8388608");
    f->b->ops->close(g);
    f->b->ops->close(again);
}

static void a_process_enters_or_the_answer_says_why_not(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    pids inside = {0};
    assert_int_equal(f->b->ops->attach(g, 4711), 0);
    says(f, GROUP "cgroup.procs", "4711");
    static const struct {
        int error, status;
    } pairs[] = {{ESRCH, STATUS_DEAD},
                 {EBUSY, STATUS_STATE},
                 {ENOMEM, STATUS_NO_MEMORY},
                 {EACCES, STATUS_SYSTEM},
                 {ENODEV, STATUS_NOT_FOUND}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        kernel.write_error = pairs[i].error;
        kernel.written = 1;
        assert_int_equal(f->b->ops->attach(g, 4712), pairs[i].status);
    }
    tree_text(&f->tree, GROUP "cgroup.procs", "12\n0\n345\n"); /* 0: of a pid namespace that is not seen */
    assert_int_equal(f->b->ops->processes(g, &inside), 0);
    assert_int_equal(inside.count, 2);
    assert_int_equal(inside.items[0], 12);
    assert_int_equal(inside.items[1], 345);
    pids_free(&inside);
    assert_int_equal(f->b->ops->kill(g), 0);
    says(f, GROUP "cgroup.kill", "1");
    f->b->ops->close(g);
}

static void a_kernel_without_a_kill_for_groups(void **state)
{
    fixture *f = *state;
    kernel.without = "cgroup.kill"; /* before Linux 5.14 */
    group *g = opened(f);
    assert_int_equal(f->b->ops->kill(g), STATUS_NOT_FOUND);
    f->b->ops->close(g);
}

static void a_task_is_told_from_the_one_before(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    bool oom = true;
    bytes_t high = 0;
    tree_text(&f->tree, GROUP "memory.events", "oom 9\noom_kill 2\noom_group_kill 1\n");
    assert_int_equal(f->b->ops->task_begin(g), 0);
    tree_text(&f->tree, GROUP "memory.peak", "5000\n");
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_false(oom);
    assert_int_equal(high, 5000);
    tree_text(&f->tree, GROUP "memory.events", "oom 9\noom_kill 3\noom_group_kill 1\n");
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_true(oom);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_false(oom);
    f->b->ops->close(g);
}

static void a_mark_that_cannot_be_reset_speaks_only_when_it_rose(void **state)
{
    fixture *f = *state;
    bool oom;
    bytes_t high = 0;
    kernel.no_reset = true;
    group *g = opened(f);
    tree_text(&f->tree, GROUP "memory.peak", "1000\n");
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_true(high == UINT64_MAX);
    tree_text(&f->tree, GROUP "memory.peak", "3000\n");
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_int_equal(high, 3000);
    f->b->ops->remove(g);
    f->b->ops->close(g);
    kernel.without = "memory.peak"; /* before Linux 5.19 */
    g = opened(f);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_true(high == UINT64_MAX);
    f->b->ops->close(g);
}

static void a_limit_is_never_set_below_what_is_used(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    tree_text(&f->tree, GROUP "memory.current", "50000000\n");
    assert_int_equal(f->b->ops->limit(g, 40000000), STATUS_STATE);
    says(f, GROUP "memory.reclaim", "10000000"); /* page cache was asked for first */
    says(f, GROUP "memory.max", "67108864");
    tree_text(&f->tree, GROUP "memory.current", "40000000\n");
    kernel.write_error = EBUSY;
    kernel.written = 1;
    assert_int_equal(f->b->ops->limit(g, 40000000), STATUS_STATE);
    says(f, GROUP "memory.max", "67108864");
    assert_int_equal(f->b->ops->limit(g, 40000000), 0);
    says(f, GROUP "memory.max", "40000000");
    f->b->ops->close(g);
}

static void events_and_reclaim(void **state)
{
    fixture *f = *state;
    group *g = opened(f);
    group_event events[GROUP_EVENTS];
    int fd;
    assert_int_equal(f->b->ops->events(g, events), 2);
    f->b->ops->event_clear(g, events[0].fd);
    f->b->ops->event_clear(g, events[1].fd);
    assert_int_equal(f->b->ops->reclaim_fd(g, &fd), 0);
    assert_int_equal(f->b->ops->reclaim(fd, 4096), 0);
    says(f, GROUP "memory.reclaim", "4096");
    kernel.write_error = EAGAIN; /* less could be dropped */
    kernel.written = 1;
    assert_int_equal(f->b->ops->reclaim(fd, 4096), STATUS_SYSTEM);
    close(fd);
    f->b->ops->close(g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(where_it_cannot_be_used),
        TEST(a_new_group_has_its_limits),
        TEST(a_kernel_without_swap_is_fine_and_one_without_limits_is_not),
        TEST(use_is_what_cannot_be_dropped),
        TEST(interrupted_and_short_reads_are_read_on),
        TEST(a_vanished_group_is_not_found),
        TEST(a_process_enters_or_the_answer_says_why_not),
        TEST(a_kernel_without_a_kill_for_groups),
        TEST(a_task_is_told_from_the_one_before),
        TEST(a_mark_that_cannot_be_reset_speaks_only_when_it_rose),
        TEST(a_limit_is_never_set_below_what_is_used),
        TEST(events_and_reclaim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
