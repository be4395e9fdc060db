/*
 * cgroup_v1: on real groups, because what its files answer is the kernel's doing. Skipped, with the reason, where the
 * memory controller of version 1 is not writable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "base/status.h"

typedef struct {
    procfs proc;
    backend *b; /* NULL: skipped */
    char folder[2 * PATH_MAX];
    char reason[REASON_MAX];
    pid_t child;
} fixture;

static int setup(void **state)
{
    static cgroup_place place;
    char books[BOOKS_MAX];
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(procfs_open(&f->proc, "/proc"), 0);
    backend_options options = {.proc = &f->proc, .cgroup_root = ""};
    if (cgroup_v1_create(&f->b, &options, f->reason) == 0) {
        snprintf(books, sizeof books, "unit-%d", (int)getpid());
        assert_int_equal(f->b->ops->books(f->b, books), 0);
        assert_int_equal(cgroup_find(&f->proc, "", 1, &place), 0);
        snprintf(f->folder, sizeof f->folder, "%.2000s%.2000s/granary.%s", place.mount, place.own, books);
    }
    *state = f;
    return 0;
}

static void child_end(fixture *f)
{
    if (f->child > 0) {
        kill(f->child, SIGKILL);
        waitpid(f->child, NULL, 0);
    }
    f->child = 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    child_end(f);
    if (f->b) {
        f->b->ops->destroy(f->b);
        assert_int_equal(access(f->folder, F_OK), -1); /* empty: removed at the end */
    }
    procfs_close(&f->proc);
    free(f);
    return 0;
}

static fixture *usable(void **state)
{
    fixture *f = *state;
    if (!f->b) {
        print_message("skipped: %s\n", f->reason);
        skip();
    }
    return f;
}

static uint64_t number(const fixture *f, const char *file)
{
    char path[3 * PATH_MAX];
    uint64_t n = 0;
    snprintf(path, sizeof path, "%s/%s", f->folder, file);
    assert_int_equal(cgroup_read_number(AT_FDCWD, path, &n), 0);
    return n;
}

static group *opened(fixture *f, bytes_t limit)
{
    group *g = NULL;
    bool made = false;
    assert_int_equal(f->b->ops->open(f->b, 7, limit, true, &g, &made), 0);
    assert_true(made);
    return g;
}

static void removed(fixture *f, group *g)
{
    child_end(f);
    assert_int_equal(f->b->ops->remove(g), 0);
    f->b->ops->close(g);
}

/* A child in the group that then touches so many bytes, says so, and waits. False: it was killed before it could. */
static bool child_in(fixture *f, group *g, size_t bytes)
{
    int gate[2], said[2];
    char word = 'g';
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);
    f->child = fork();
    if (f->child == 0) {
        close(said[0]);
        if (read(gate[0], &word, 1) != 1)
            _exit(1);
        char *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(room, 1, bytes);
        if (write(said[1], &word, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_true(f->child > 0);
    close(said[1]);
    assert_int_equal(f->b->ops->attach(g, f->child), 0);
    assert_int_equal(write(gate[1], &word, 1), 1);
    bool touched = read(said[0], &word, 1) == 1;
    close(gate[0]);
    close(gate[1]);
    close(said[0]);
    return touched;
}

static void a_new_group_has_its_limits(void **state)
{
    fixture *f = usable(state);
    group *again;
    bool made = true;
    generations list;
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(64), false, &again, &made), STATUS_NOT_FOUND);
    group *g = opened(f, MIB(64));
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(64));
    assert_int_equal(number(f, "c7/memory.swappiness"), 0);
    assert_int_equal(f->b->ops->limit(g, MIB(96)), 0); /* up, where memory.memsw must go first */
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(96));
    assert_int_equal(f->b->ops->limit(g, MIB(32)), 0); /* and down, where it goes last */
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(32));
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(64), true, &again, &made), 0);
    assert_false(made);
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(32)); /* found: as it was ordered last */
    f->b->ops->close(again);
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0], 7);
    free(list.items);
    removed(f, g);
    f->b->ops->close(NULL);
}

static void a_limit_below_use_is_busy_and_changes_nothing(void **state)
{
    fixture *f = usable(state);
    group *g = opened(f, MIB(64));
    pids inside = {0};
    bytes_t used = 0, charged = 0;
    assert_true(child_in(f, g, MIB(32)));
    assert_int_equal(f->b->ops->use(g, &used), 0);
    assert_in_range(used, MIB(31), MIB(40)); /* the counters are folded together every 2 s or 64 pages */
    assert_int_equal(f->b->ops->charged(g, &charged), 0);
    assert_in_range(charged, MIB(32), MIB(40));
    assert_int_equal(f->b->ops->limit(g, MIB(8)), STATUS_STATE);
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(64));
    assert_int_equal(f->b->ops->limit(g, MIB(48)), 0);
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(48));
    assert_int_equal(f->b->ops->processes(g, &inside), 0);
    assert_int_equal(inside.count, 1);
    assert_int_equal(inside.items[0], f->child);
    pids_free(&inside);
    assert_int_equal(f->b->ops->remove(g), STATUS_STATE);
    removed(f, g);
}

static void each_task_has_its_own_ceiling(void **state)
{
    fixture *f = usable(state);
    group *g = opened(f, MIB(64));
    bool oom = true;
    bytes_t high = 0;
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_true(child_in(f, g, MIB(16)));
    child_end(f);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_false(oom);
    assert_in_range(high, MIB(16), MIB(24));
    int fd;
    assert_int_equal(f->b->ops->reclaim_fd(g, &fd), 0);
    assert_int_equal(f->b->ops->reclaim(fd, MIB(64)), 0);
    close(fd);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_in_range(high, 0, MIB(8));
    removed(f, g);
}

static void an_out_of_memory_kill_is_told_once(void **state)
{
    fixture *f = usable(state);
    group *g = opened(f, MIB(16));
    group_event events[GROUP_EVENTS];
    bool oom = false;
    bytes_t high;
    assert_int_equal(f->b->ops->events(g, events), 1);
    struct pollfd event = {.fd = events[0].fd, .events = POLLIN};
    assert_int_equal(poll(&event, 1, 0), 0);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_false(child_in(f, g, MIB(64)));
    int status = 0;
    assert_int_equal(waitpid(f->child, &status, 0), f->child);
    f->child = 0;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(poll(&event, 1, 5000), 1);
    f->b->ops->event_clear(g, events[0].fd);
    f->b->ops->event_clear(g, events[0].fd);
    assert_int_equal(poll(&event, 1, 0), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_true(oom);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_false(oom); /* of the task before */
    removed(f, g);
}

static void a_vanished_group_is_not_found_and_made_again(void **state)
{
    fixture *f = usable(state);
    group *g = opened(f, MIB(64)), *again;
    bool made = false;
    bytes_t n = 5;
    pids inside = {0};
    char path[3 * PATH_MAX];
    snprintf(path, sizeof path, "%s/c7", f->folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(f->b->ops->use(g, &n), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->charged(g, &n), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->processes(g, &inside), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->limit(g, MIB(1)), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->attach(g, getpid()), STATUS_NOT_FOUND);
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(8), false, &again, &made), STATUS_NOT_FOUND);
    assert_int_equal(n, 5);
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(f->b->ops->open(f->b, 7, MIB(8), true, &again, &made), 0);
    assert_true(made);
    assert_int_equal(number(f, "c7/memory.limit_in_bytes"), MIB(8));
    f->b->ops->close(g);
    removed(f, again);
}

static void a_process_that_has_ended_cannot_enter(void **state)
{
    fixture *f = usable(state);
    group *g = opened(f, MIB(64));
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(f->b->ops->attach(g, pid), STATUS_DEAD);
    removed(f, g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_group_has_its_limits),
        TEST(a_limit_below_use_is_busy_and_changes_nothing),
        TEST(each_task_has_its_own_ceiling),
        TEST(an_out_of_memory_kill_is_told_once),
        TEST(a_vanished_group_is_not_found_and_made_again),
        TEST(a_process_that_has_ended_cannot_enter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
