/* procfs: every parser on a temporary folder, good and bad. */
#include "tree.h"

#include "agent/procfs.h"
#include "base/status.h"

static const char status_text_of[] = "Name:\ttask\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t3\n"
                                     "Uid:\t1000\t1001\t1002\t1003\nGid:\t5\t5\t5\t5\nRssAnon:\t    2048 kB\n"
                                     "RssFile:\t     512 kB\nRssShmem:\t      16 kB\nThreads:\t4\n";

typedef struct {
    tree tree;
    procfs proc;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    tree_make(&f->tree);
    assert_int_equal(procfs_open(&f->proc, f->tree.root), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    procfs_close(&f->proc);
    tree_remove(&f->tree);
    free(f);
    return 0;
}

static void a_root_that_is_not_there(void **state)
{
    (void)state;
    procfs proc = {.dir = -7};
    assert_int_equal(procfs_open(&proc, "/nonexistent/root"), STATUS_SYSTEM);
    assert_int_equal(proc.dir, -7);
}

static void meminfo(void **state)
{
    fixture *f = *state;
    procfs_memory m = {.total = 1, .available = 2};
    assert_int_equal(procfs_meminfo(&f->proc, &m), STATUS_DEAD);
    tree_text(&f->tree, "meminfo", "MemTotal:       24684084 kB\nMemFree: 1 kB\nMemAvailable:   24379572 kB\n");
    assert_int_equal(procfs_meminfo(&f->proc, &m), 0);
    assert_int_equal(m.total, 24684084ull * 1024);
    assert_int_equal(m.available, 24379572ull * 1024);
    tree_text(&f->tree, "meminfo", "MemTotal: 10 kB\nMemAvailable: 11 kB\n"); /* seen while pages were freed */
    assert_int_equal(procfs_meminfo(&f->proc, &m), 0);
    assert_int_equal(m.available, 10 * 1024);
    const char *bad[] = {"",
                         "MemTotal: 10 kB\n",
                         "MemTotal: x kB\nMemAvailable: 1 kB\n",
                         "MemTotal: -5 kB\nMemAvailable: 1 kB\n",
                         "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n",
                         "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n",
                         "xMemTotal: 10 kB\nMemAvailable: 1 kB\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tree_text(&f->tree, "meminfo", bad[i]);
        m = (procfs_memory){.total = 1, .available = 2};
        assert_int_equal(procfs_meminfo(&f->proc, &m), STATUS_CORRUPT);
        assert_true(m.total == 1 && m.available == 2);
    }
}

static void boot_id(void **state)
{
    fixture *f = *state;
    char id[40] = "old";
    tree_text(&f->tree, "sys/kernel/random/boot_id", "0f1e2d3c-0000-4000-8000-aabbccddeeff\n");
    assert_int_equal(procfs_boot_id(&f->proc, id), 0);
    assert_string_equal(id, "0f1e2d3c-0000-4000-8000-aabbccddeeff");
    tree_text(&f->tree, "sys/kernel/random/boot_id", "\n");
    assert_int_equal(procfs_boot_id(&f->proc, id), STATUS_CORRUPT);
    tree_text(&f->tree, "sys/kernel/random/boot_id", "0f1e2d3c-0000-4000-8000-aabbccddeeff-and-more\n");
    assert_int_equal(procfs_boot_id(&f->proc, id), STATUS_CORRUPT);
}

static void a_process(void **state)
{
    fixture *f = *state;
    procfs_process p = {0};
    assert_int_equal(procfs_process_read(&f->proc, 7, &p), STATUS_DEAD);
    tree_text(&f->tree, "7/status", status_text_of);
    assert_int_equal(procfs_process_read(&f->proc, 7, &p), 0);
    assert_int_equal(p.parent, 3);
    assert_int_equal(p.threads, 4);
    assert_int_equal(p.real, 1000);
    assert_int_equal(p.effective, 1001);
    assert_int_equal(p.saved, 1002);
    assert_int_equal(p.resident, (2048 + 16) * 1024);
    assert_false(p.zombie);
    tree_text(&f->tree, "8/status", "Name:\tx\nState:\tZ (zombie)\nPPid:\t3\nUid:\t0\t0\t0\t0\n");
    assert_int_equal(procfs_process_read(&f->proc, 8, &p), 0);
    assert_true(p.zombie);
    assert_int_equal(p.resident, 0);
    tree_text(&f->tree, "9/status", "Name:\tx\nState:\tS\nPPid:\t3\nUid:\t0\n");
    assert_int_equal(procfs_process_read(&f->proc, 9, &p), STATUS_CORRUPT);
}

static void the_share_of_a_process(void **state)
{
    fixture *f = *state;
    bytes_t share = 7;
    assert_int_equal(procfs_share(&f->proc, 7, &share), STATUS_DEAD);
    tree_text(&f->tree, "7/smaps_rollup",
              "55 - 7f [rollup]\nRss: 900 kB\nPss: 500 kB\nPss_Anon: 300 kB\nPss_File: 9 kB\n");
    assert_int_equal(procfs_share(&f->proc, 7, &share), STATUS_CORRUPT);
    assert_int_equal(share, 7);
    tree_text(&f->tree, "7/smaps_rollup", "Pss: 500 kB\nPss_Anon:  300 kB\nPss_File: 9 kB\nPss_Shmem:  20 kB\n");
    assert_int_equal(procfs_share(&f->proc, 7, &share), 0);
    assert_int_equal(share, KIB(320));
}

static void oom_adjust(void **state)
{
    fixture *f = *state;
    int adjust = 5;
    tree_text(&f->tree, "7/oom_score_adj", "-1000\n");
    assert_int_equal(procfs_oom_adjust(&f->proc, 7, &adjust), 0);
    assert_int_equal(adjust, -1000);
    tree_text(&f->tree, "7/oom_score_adj", "-1001\n");
    assert_int_equal(procfs_oom_adjust(&f->proc, 7, &adjust), STATUS_CORRUPT);
    tree_text(&f->tree, "7/oom_score_adj", "");
    assert_int_equal(procfs_oom_adjust(&f->proc, 7, &adjust), STATUS_CORRUPT);
}

static void when_it_started(void **state)
{
    fixture *f = *state;
    uint64_t start = 5;
    tree_text(&f->tree, "7/stat", "7 (a) b (c) S 1 7 7 0 -1 4194304 101 0 0 0 1 2 3 4 20 0 1 0 1706706 3133440 394\n");
    assert_int_equal(procfs_start(&f->proc, 7, &start), 0);
    assert_int_equal(start, 1706706);
    tree_text(&f->tree, "7/stat", "7 (a) S 1 7 7 0 -1 4194304\n");
    assert_int_equal(procfs_start(&f->proc, 7, &start), STATUS_CORRUPT);
    tree_text(&f->tree, "7/stat", "7\n");
    assert_int_equal(procfs_start(&f->proc, 7, &start), STATUS_CORRUPT);
    assert_int_equal(procfs_start(&f->proc, 4711, &start), STATUS_DEAD);
    assert_int_equal(start, 1706706);
}

static void the_pid_behind_a_pidfd(void **state)
{
    fixture *f = *state;
    pid_t pid = 1;
    tree_text(&f->tree, "self/fdinfo/5", "pos:\t0\nflags:\t02000002\nmnt_id:\t4\nino:\t9\nPid:\t4711\nNSpid:\t4711\n");
    assert_int_equal(procfs_pidfd_pid(&f->proc, 5, &pid), 0);
    assert_int_equal(pid, 4711);
    tree_text(&f->tree, "self/fdinfo/5", "pos:\t0\nPid:\t-1\n");
    assert_int_equal(procfs_pidfd_pid(&f->proc, 5, &pid), STATUS_DEAD);
    tree_text(&f->tree, "self/fdinfo/5", "pos:\t0\nPid:\t0\n");
    assert_int_equal(procfs_pidfd_pid(&f->proc, 5, &pid), STATUS_DEAD);
    tree_text(&f->tree, "self/fdinfo/5", "pos:\t0\nflags:\t02\n");
    assert_int_equal(procfs_pidfd_pid(&f->proc, 5, &pid), STATUS_INVALID);
    assert_int_equal(pid, 4711);
}

static void children(void **state)
{
    fixture *f = *state;
    pids list = {0};
    tree_text(&f->tree, "7/task/7/children", "11 12 ");
    tree_text(&f->tree, "7/task/8/children", "");
    tree_text(&f->tree, "7/task/9/children", "13 ");
    assert_int_equal(procfs_children(&f->proc, 7, &list), 0);
    assert_int_equal(list.count, 3);
    assert_true(pids_has(&list, 11) && pids_has(&list, 12) && pids_has(&list, 13));
    pids_free(&list);
    assert_int_equal(procfs_children_of_main(&f->proc, 7, &list), 0);
    assert_int_equal(list.count, 2);
    pids_free(&list);
    assert_int_equal(procfs_children(&f->proc, 99, &list), STATUS_DEAD);
    tree_text(&f->tree, "7/task/7/children", "11 0 -1 4294967297 12 "); /* no numbers of processes */
    assert_int_equal(procfs_children_of_main(&f->proc, 7, &list), 0);
    assert_int_equal(list.count, 1);
    pids_free(&list);
}

static void every_process(void **state)
{
    fixture *f = *state;
    pids list = {0};
    tree_text(&f->tree, "1/status", "");
    tree_text(&f->tree, "4711/status", "");
    tree_text(&f->tree, "self/status", "");
    tree_text(&f->tree, "0x/status", "");
    assert_int_equal(procfs_pids(&f->proc, &list), 0);
    assert_int_equal(list.count, 2);
    assert_true(pids_has(&list, 1) && pids_has(&list, 4711));
    pids_free(&list);
}

static int claim_in(fixture *f, const char *environment, size_t length, uint64_t *ret)
{
    tree_write(&f->tree, "7/environ", environment, length);
    return procfs_claim_of(&f->proc, 7, "books", ret);
}

#define ENVIRON(s) s, sizeof(s) - 1

static void the_claim_that_a_process_names(void **state)
{
    fixture *f = *state;
    uint64_t gen = 1;
    assert_int_equal(claim_in(f, ENVIRON("A=b\0GRANARY_CLAIM=books.42\0Z=1\0"), &gen), 0);
    assert_int_equal(gen, 42);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.18446744073709551615\0"), &gen), 0);
    assert_true(gen == UINT64_MAX);
    gen = 5;
    assert_int_equal(claim_in(f, ENVIRON(""), &gen), STATUS_BUSY);
    assert_int_equal(claim_in(f, ENVIRON("XGRANARY_CLAIM=books.42\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=bookshop.42\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=book.42\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.0\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.-3\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.7x\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(claim_in(f, ENVIRON("GRANARY_CLAIM=books.18446744073709551616\0"), &gen), STATUS_NOT_FOUND);
    assert_int_equal(gen, 5);
}

static void a_list_is_cut_at_its_limit(void **state)
{
    (void)state;
    pids list = {0};
    for (uint32_t i = 0; i < PIDS_MAX; i++)
        assert_int_equal(pids_add(&list, (pid_t)i + 1), 0);
    assert_false(list.cut);
    assert_int_equal(pids_add(&list, 1), 0);
    assert_true(list.cut);
    assert_int_equal(list.count, PIDS_MAX);
    pids_free(&list);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_that_is_not_there),
        cmocka_unit_test_setup_teardown(meminfo, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_id, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process, setup, teardown),
        cmocka_unit_test_setup_teardown(the_share_of_a_process, setup, teardown),
        cmocka_unit_test_setup_teardown(oom_adjust, setup, teardown),
        cmocka_unit_test_setup_teardown(when_it_started, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pid_behind_a_pidfd, setup, teardown),
        cmocka_unit_test_setup_teardown(children, setup, teardown),
        cmocka_unit_test_setup_teardown(every_process, setup, teardown),
        cmocka_unit_test_setup_teardown(the_claim_that_a_process_names, setup, teardown),
        cmocka_unit_test(a_list_is_cut_at_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
