/* watch: membership by process tree and environment, on real processes; and what is not seen for want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "base/status.h"

#define CHILDREN 4

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left; /* allocations until all fail; 0 = none does */

static bool fails(void)
{
    return left > 0 && left-- == 1 && (left = 1);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

typedef struct {
    procfs proc;
    backend_options options;
    backend *b;
    char books[BOOKS_MAX];
    pid_t children[CHILDREN];
    int n_children;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans are ours to reap */
    assert_int_equal(procfs_open(&f->proc, "/proc"), 0);
    f->options = (backend_options){.proc = &f->proc, .cgroup_root = "", .watch = true};
    assert_int_equal(watch_backend_create(&f->b, &f->options, "a test"), 0);
    snprintf(f->books, sizeof f->books, "unit-%d", (int)getpid());
    assert_int_equal(f->b->ops->books(f->b, f->books), 0);
    *state = f;
    return 0;
}

static void child_end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int teardown(void **state)
{
    fixture *f = *state;
    left = 0;
    for (int i = 0; i < f->n_children; i++)
        if (f->children[i])
            child_end(f->children[i]);
    f->b->ops->destroy(f->b);
    procfs_close(&f->proc);
    free(f);
    return 0;
}

/* A child that has said that it stands, and stops: no exec of it is under way. With `claim`: it carries the name, in
 * the environment of an exec. */
static pid_t child_of(fixture *f, const char *claim)
{
    char name[128], word;
    int said[2];
    assert_int_equal(pipe(said), 0);
    snprintf(name, sizeof name, "GRANARY_CLAIM=%s", claim ? claim : "");
    char *argv[] = {"sh", "-c", "echo; kill -STOP $$", NULL},
         *env[] = {claim ? name : "A=1", "PATH=/usr/bin:/bin", NULL};
    pid_t pid = fork();
    if (pid == 0) {
        dup2(said[1], 1);
        close(said[0]);
        close(said[1]);
        execve("/bin/sh", argv, env);
        _exit(1);
    }
    close(said[1]);
    assert_int_equal(read(said[0], &word, 1), 1);
    close(said[0]);
    f->children[f->n_children++] = pid;
    return pid;
}

static group *opened(fixture *f, uint64_t gen, bool expect_made)
{
    group *g = NULL;
    bool made;
    assert_int_equal(f->b->ops->open(f->b, gen, MIB(64), true, &g, &made), 0);
    assert_int_equal(made, expect_made);
    return g;
}

/*
 * Looks until so many are inside: a stranger in the middle of an exec hides an environment for a moment, and who only
 * carries the name is looked for ten times a second.
 */
static void inside_is(fixture *f, group *g, pids *to, uint32_t wanted)
{
    int r = STATUS_BUSY;
    for (int i = 0; i < 400 && (r == STATUS_BUSY || (r == 0 && to->count != wanted)); i++) {
        to->count = 0;
        r = f->b->ops->processes(g, to);
        if (r == STATUS_BUSY || to->count != wanted)
            poll(NULL, 0, 10);
    }
    assert_int_equal(r, 0);
    assert_int_equal(to->count, wanted);
}

static void who_enters_is_inside_until_it_ends(void **state)
{
    fixture *f = *state;
    group *g = opened(f, 3, true);
    pids inside = {0};
    bytes_t used = 5;
    inside_is(f, g, &inside, 0);
    assert_int_equal(f->b->ops->use(g, &used), 0);
    assert_int_equal(used, 0);
    pid_t pid = child_of(f, NULL);
    assert_int_equal(f->b->ops->attach(g, pid), 0);
    assert_int_equal(f->b->ops->attach(g, pid), 0);
    inside_is(f, g, &inside, 1);
    assert_int_equal(inside.items[0], pid);
    assert_int_equal(f->b->ops->use(g, &used), 0);
    assert_in_range(used, KIB(4), MIB(16));
    child_end(pid);
    f->children[0] = 0;
    inside_is(f, g, &inside, 0);
    assert_int_equal(f->b->ops->use(g, &used), 0);
    assert_int_equal(used, 0);
    assert_int_equal(f->b->ops->attach(g, pid), STATUS_DEAD);
    pids_free(&inside);
    assert_int_equal(f->b->ops->remove(g), 0);
    f->b->ops->close(g);
}

static void children_of_members_and_carriers_of_the_name_belong(void **state)
{
    fixture *f = *state;
    char name[128];
    group *g = opened(f, 3, true), *other = opened(f, 4, true);
    pids inside = {0};
    snprintf(name, sizeof name, "%s.3", f->books);
    pid_t carrier = child_of(f, name);
    snprintf(name, sizeof name, "%s.33", f->books);
    child_of(f, name); /* of another claim */
    child_of(f, "somebody-else.3");
    inside_is(f, g, &inside, 1);
    assert_int_equal(inside.items[0], carrier);
    inside_is(f, other, &inside, 0);
    /* a parent enters, without a name; its child is inside with it */
    int said[2];
    pid_t pair[2];
    assert_int_equal(pipe(said), 0);
    pid_t parent = fork();
    if (parent == 0) {
        pair[0] = getpid();
        pair[1] = fork();
        if (pair[1] != 0 && write(said[1], pair, sizeof pair) != sizeof pair)
            _exit(1);
        for (;;)
            pause();
    }
    f->children[f->n_children++] = parent;
    assert_int_equal(read(said[0], pair, sizeof pair), sizeof pair);
    close(said[0]);
    close(said[1]);
    assert_int_equal(f->b->ops->attach(other, parent), 0);
    inside_is(f, other, &inside, 2);
    assert_true(pids_has(&inside, pair[0]) && pids_has(&inside, pair[1]));
    child_end(parent); /* its child was seen, and stays inside as an orphan */
    f->children[f->n_children - 1] = pair[1];
    inside_is(f, other, &inside, 1);
    assert_int_equal(inside.items[0], pair[1]);
    pids_free(&inside);
    f->b->ops->close(g);
    f->b->ops->close(other);
}

/* The name of the claim that its parent is in stays in its environment until it runs exec. */
static void a_process_is_in_the_claim_that_it_entered_last(void **state)
{
    fixture *f = *state;
    char name[128];
    group *first = opened(f, 3, true), *second = opened(f, 4, true);
    pids inside = {0};
    snprintf(name, sizeof name, "%s.3", f->books);
    pid_t pid = child_of(f, name);
    inside_is(f, first, &inside, 1);
    assert_int_equal(f->b->ops->attach(second, pid), 0);
    inside_is(f, first, &inside, 0);
    inside_is(f, second, &inside, 1);
    assert_int_equal(f->b->ops->attach(first, pid), 0);
    inside_is(f, second, &inside, 0);
    inside_is(f, first, &inside, 1);
    /* the child of a member that entered another claim is not in its parent's */
    pid_t child = child_of(f, NULL);
    assert_int_equal(f->b->ops->attach(second, child), 0);
    assert_int_equal(f->b->ops->attach(first, getpid()), 0);
    inside_is(f, first, &inside, 2);
    assert_false(pids_has(&inside, child));
    inside_is(f, second, &inside, 1);
    pids_free(&inside);
    f->b->ops->close(first);
    f->b->ops->close(second);
}

static void after_a_restart_the_name_finds_them_again(void **state)
{
    fixture *f = *state;
    char name[128];
    group *g;
    bool made = true;
    generations list;
    pids inside = {0};
    assert_int_equal(f->b->ops->open(f->b, 8, MIB(64), false, &g, &made), STATUS_NOT_FOUND);
    snprintf(name, sizeof name, "%s.8", f->books);
    pid_t carrier = child_of(f, name);
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0], 8);
    free(list.items);
    assert_int_equal(f->b->ops->open(f->b, 8, MIB(64), false, &g, &made), 0);
    assert_false(made);
    inside_is(f, g, &inside, 1);
    assert_int_equal(inside.items[0], carrier);
    pids_free(&inside);
    f->b->ops->close(g);
    assert_int_equal(f->b->ops->books(f->b, "../etc"), STATUS_INVALID);
    assert_int_equal(f->b->ops->books(f->b, "others"), 0);
    assert_int_equal(f->b->ops->list(f->b, &list), 0);
    assert_int_equal(list.count, 0);
    free(list.items);
}

/* However few allocations work: whoever is inside is seen, or the look fails; it never finds an empty group. */
static void without_memory_a_group_does_not_look_empty(void **state)
{
    fixture *f = *state;
    char name[128];
    snprintf(name, sizeof name, "%s.5", f->books);
    pid_t carrier = child_of(f, name);
    int failed = 0;
    for (long n = 1;; n++) {
        group *g = NULL;
        bool made;
        pids inside = {0};
        left = n;
        int r = f->b->ops->open(f->b, 5, MIB(64), true, &g, &made);
        if (r == 0)
            r = f->b->ops->processes(g, &inside);
        bool worked = left > 1;
        left = 0;
        if (r == 0) {
            assert_int_equal(inside.count, 1);
            assert_int_equal(inside.items[0], carrier);
        } else {
            assert_int_equal(r, STATUS_NO_MEMORY);
            failed++;
        }
        pids_free(&inside);
        f->b->ops->close(g);
        if (worked)
            break;
    }
    assert_true(failed >= 4);
}

static void nothing_is_limited(void **state)
{
    fixture *f = *state;
    group *g = opened(f, 3, true);
    group_event events[GROUP_EVENTS];
    bool oom = true;
    bytes_t high = 0;
    int fd;
    assert_false(f->b->ops->limited);
    assert_string_equal(f->b->reason, "a test");
    assert_int_equal(f->b->ops->limit(g, 1), 0);
    assert_int_equal(f->b->ops->task_begin(g), 0);
    assert_int_equal(f->b->ops->task_end(g, &oom, &high), 0);
    assert_false(oom);
    assert_true(high == UINT64_MAX);
    assert_int_equal(f->b->ops->events(g, events), 0);
    assert_int_equal(f->b->ops->reclaim_fd(g, &fd), STATUS_NOT_FOUND);
    f->b->ops->close(g);
    f->b->ops->close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_enters_is_inside_until_it_ends),
        TEST(children_of_members_and_carriers_of_the_name_belong),
        TEST(a_process_is_in_the_claim_that_it_entered_last),
        TEST(after_a_restart_the_name_finds_them_again),
        TEST(without_memory_a_group_does_not_look_empty),
        TEST(nothing_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
