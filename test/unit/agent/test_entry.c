/* entry: who may enter; /proc is a folder, so that it can say anything about this test's own pidfd. */
#include "fake.h"

#include "agent/entry.h"
#include "tree.h"

typedef struct {
    world *world;
    tree tree;
    procfs proc;
    group *group;
    int pidfd;
    pid_t pid;
    pids others;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *w;
    bool made;
    world_setup(&w);
    f->world = w;
    tree_make(&f->tree);
    assert_int_equal(procfs_open(&f->proc, f->tree.root), 0);
    f->world->fake.base.proc = &f->proc;
    assert_int_equal(fake_open(&f->world->fake.base, 1, MIB(1), true, &f->group, &made), 0);
    f->pid = world_child(f->world, &f->pidfd);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    void *w = f->world;
    close(f->pidfd);
    procfs_close(&f->proc);
    tree_remove(&f->tree);
    pids_free(&f->others);
    world_teardown(&w);
    free(f);
    return 0;
}

static void says(fixture *f, pid_t pid, const char *state, const char *uids, const char *adjust, const char *children)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "self/fdinfo/%d", f->pidfd);
    snprintf(text, sizeof text, "pos:\t0\nPid:\t%d\n", f->pid);
    tree_text(&f->tree, path, text);
    snprintf(path, sizeof path, "%d/status", pid);
    snprintf(text, sizeof text,
             "Name:\tx\nState:\t%s\nPPid:\t1\nUid:\t%s\nThreads:\t1\nRssAnon:\t8 kB\nRssShmem:\t4 kB\n", state, uids);
    tree_text(&f->tree, path, text);
    snprintf(path, sizeof path, "%d/oom_score_adj", pid);
    tree_text(&f->tree, path, adjust);
    snprintf(path, sizeof path, "%d/task/%d/children", pid, pid);
    tree_text(&f->tree, path, children);
}

static int enter(fixture *f, uid_t uid, bool any_user)
{
    entry e = {0};
    const char *text = "";
    int r = entry_attach(f->group, f->pidfd, uid, any_user, &f->others, &e, &text);
    if (r == 0) {
        assert_int_equal(e.pid, f->pid);
        assert_int_equal(e.resident, KIB(12));
    } else {
        assert_true(strlen(text) > 0);
    }
    return r;
}

static void the_owner_enters(void **state)
{
    fixture *f = *state;
    fake_group *g = (fake_group *)f->group;
    says(f, f->pid, "S", "1000 1000 1000 1000", "0\n", "");
    assert_int_equal(enter(f, 1001, false), STATUS_DENIED);
    assert_int_equal(g->count, 0);
    assert_int_equal(enter(f, 1000, false), 0);
    assert_int_equal(g->count, 1);
    assert_int_equal(g->pids[0], f->pid);
    assert_int_equal(enter(f, 1001, true), 0);
}

static void a_program_that_became_another_user_is_refused(void **state)
{
    fixture *f = *state;
    says(f, f->pid, "S", "1000 0 0 0", "0\n", "");
    assert_int_equal(enter(f, 1000, false), STATUS_DENIED);
    says(f, f->pid, "S", "1000 1000 0 1000", "0\n", "");
    assert_int_equal(enter(f, 1000, false), STATUS_DENIED);
    assert_int_equal(((fake_group *)f->group)->count, 0);
}

static void exempt_and_dead_are_refused(void **state)
{
    fixture *f = *state;
    says(f, f->pid, "S", "1000 1000 1000 1000", "-1000\n", "");
    assert_int_equal(enter(f, 1000, true), STATUS_DENIED);
    says(f, f->pid, "Z", "1000 1000 1000 1000", "0\n", "");
    assert_int_equal(enter(f, 1000, false), STATUS_DEAD);
    says(f, f->pid, "S", "1000 1000 1000 1000", "-999\n", "");
    assert_int_equal(enter(f, 1000, false), 0);
    kill(f->pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)f->pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(enter(f, 1000, false), STATUS_DEAD);
    assert_int_equal(((fake_group *)f->group)->count, 1);
}

static void children_come_along_but_not_other_users(void **state)
{
    fixture *f = *state;
    fake_group *g = (fake_group *)f->group;
    int fds[3];
    pid_t own = world_child(f->world, &fds[0]), other = world_child(f->world, &fds[1]),
          grand = world_child(f->world, &fds[2]);
    char list[64];
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    snprintf(list, sizeof list, "%d %d ", own, other);
    says(f, f->pid, "S", "1000 1000 1000 1000", "0\n", list);
    snprintf(list, sizeof list, "%d ", grand);
    says(f, own, "S", "1000 1000 1000 1000", "0\n", list);
    says(f, other, "S", "0 0 0 0", "0\n", "");
    says(f, grand, "S", "1000 1000 1000 1000", "0\n", "");
    assert_int_equal(enter(f, 1000, false), 0);
    assert_int_equal(g->count, 3);
    assert_int_equal(g->pids[0], f->pid);
    assert_int_equal(g->pids[1], own);
    assert_int_equal(g->pids[2], grand);
}

static void a_child_that_another_claim_has_stays_there(void **state)
{
    fixture *f = *state;
    fake_group *g = (fake_group *)f->group;
    int fds[2];
    pid_t own = world_child(f->world, &fds[0]), taken = world_child(f->world, &fds[1]);
    char list[64];
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    snprintf(list, sizeof list, "%d %d ", taken, own);
    says(f, f->pid, "S", "1000 1000 1000 1000", "0\n", list);
    says(f, own, "S", "1000 1000 1000 1000", "0\n", "");
    says(f, taken, "S", "1000 1000 1000 1000", "0\n", "");
    assert_int_equal(pids_add(&f->others, taken), 0);
    assert_int_equal(enter(f, 1000, false), 0);
    assert_int_equal(g->count, 2);
    assert_int_equal(g->pids[0], f->pid);
    assert_int_equal(g->pids[1], own);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_owner_enters),
        TEST(a_program_that_became_another_user_is_refused),
        TEST(exempt_and_dead_are_refused),
        TEST(children_come_along_but_not_other_users),
        TEST(a_child_that_another_claim_has_stays_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
