/* cgroup: finding the own group, limits above it, groups as folders; on temporary folders. */
#include "tree.h"

#include "agent/cgroup.h"
#include "base/status.h"

typedef struct {
    tree tree;
    procfs proc;
    cgroup_place place;
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

static void hybrid(const fixture *f, const char *own_v1, const char *own_v2)
{
    char text[512];
    snprintf(text, sizeof text, "5:cpu,cpuacct:/elsewhere\n4:memory:%s\n1:name=systemd:/\n0::%s\n", own_v1, own_v2);
    tree_text(&f->tree, "self/cgroup", text);
    tree_text(&f->tree, "self/mountinfo",
              "20 1 0:19 / /proc rw - proc proc rw\n"
              "30 1 0:26 / /cg/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
              "31 1 0:27 / /cg/memory rw,relatime shared:10 - cgroup cgroup rw,memory\n"
              "32 1 0:28 / /cg/unified rw,relatime - cgroup2 cgroup2 rw\n");
}

static void both_versions_are_found(void **state)
{
    fixture *f = *state;
    hybrid(f, "/a/b", "/");
    assert_int_equal(cgroup_find(&f->proc, "/root", 1, &f->place), 0);
    assert_string_equal(f->place.mount, "/root/cg/memory");
    assert_string_equal(f->place.own, "/a/b");
    assert_int_equal(cgroup_find(&f->proc, "", 2, &f->place), 0);
    assert_string_equal(f->place.mount, "/cg/unified");
    assert_string_equal(f->place.own, "");
}

static void a_mount_that_shows_a_part_of_the_tree(void **state)
{
    fixture *f = *state;
    tree_text(&f->tree, "self/cgroup", "4:memory:/docker/x/y\n");
    tree_text(&f->tree, "self/mountinfo",
              "31 1 0:27 /docker/xx /cg/other rw - cgroup cgroup rw,memory\n"
              "32 1 0:27 /docker/x /cg/memory rw - cgroup cgroup rw,memory\n");
    assert_int_equal(cgroup_find(&f->proc, "", 1, &f->place), 0);
    assert_string_equal(f->place.mount, "/cg/memory");
    assert_string_equal(f->place.own, "/y");
}

static void nothing_to_find(void **state)
{
    fixture *f = *state;
    assert_true(cgroup_find(&f->proc, "", 1, &f->place) < 0);
    hybrid(f, "/a", "/");
    tree_text(&f->tree, "self/mountinfo", "20 1 0:19 / /proc rw - proc proc rw\nnonsense\n\n");
    assert_int_equal(cgroup_find(&f->proc, "", 1, &f->place), STATUS_NOT_FOUND);
    assert_int_equal(cgroup_find(&f->proc, "", 2, &f->place), STATUS_NOT_FOUND);
    hybrid(f, "/../outside", "/");
    assert_int_equal(cgroup_find(&f->proc, "", 1, &f->place), STATUS_NOT_FOUND);
}

static void the_least_limit_above(void **state)
{
    fixture *f = *state;
    hybrid(f, "/a/b", "/x");
    tree_text(&f->tree, "cg/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    tree_text(&f->tree, "cg/memory/a/memory.limit_in_bytes", "4096000\n");
    tree_text(&f->tree, "cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
    tree_text(&f->tree, "cg/unified/x/memory.max", "max\n");
    assert_int_equal(cgroup_find(&f->proc, f->tree.root, 1, &f->place), 0);
    assert_int_equal(cgroup_least_limit(&f->place, "memory.limit_in_bytes"), 4096000);
    assert_int_equal(cgroup_find(&f->proc, f->tree.root, 2, &f->place), 0);
    assert_true(cgroup_least_limit(&f->place, "memory.max") == UINT64_MAX);

    backend_options options = {.proc = &f->proc, .cgroup_root = f->tree.root};
    assert_int_equal(backend_total(&options, 8192000), 4096000);
    assert_int_equal(backend_total(&options, 1000), 1000);
    tree_text(&f->tree, "cg/unified/x/memory.max", "2048\n");
    assert_int_equal(backend_total(&options, 8192000), 2048);
}

static void numbers(void **state)
{
    fixture *f = *state;
    char path[128];
    uint64_t n = 3;
    snprintf(path, sizeof path, "%s/n", f->tree.root);
    assert_int_equal(cgroup_read_number(AT_FDCWD, path, &n), STATUS_NOT_FOUND);
    tree_text(&f->tree, "n", "18446744073709551615\n");
    assert_int_equal(cgroup_read_number(AT_FDCWD, path, &n), 0);
    assert_true(n == UINT64_MAX);
    tree_text(&f->tree, "n", "0\n");
    assert_int_equal(cgroup_read_number(AT_FDCWD, path, &n), 0);
    assert_int_equal(n, 0);
    const char *bad[] = {"", "-1", "12x", "18446744073709551616", "MAX"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tree_text(&f->tree, "n", bad[i]);
        assert_int_equal(cgroup_read_number(AT_FDCWD, path, &n), STATUS_CORRUPT);
    }
    assert_int_equal(n, 0);
}

static void fields_are_whole_words(void **state)
{
    (void)state;
    const char *lines = "rss 5\ntotal_rss 4096\ntotal_rss_huge 7\ntotal_shmem 8192\noom_kill 3";
    assert_int_equal(cgroup_field(lines, "total_rss"), 4096);
    assert_int_equal(cgroup_field(lines, "rss"), 5);
    assert_int_equal(cgroup_field(lines, "oom_kill"), 3);
    assert_int_equal(cgroup_field(lines, "oom"), 0);
    assert_int_equal(cgroup_field("", "x"), 0);
}

static void names_of_books(void **state)
{
    (void)state;
    char long_name[BOOKS_MAX + 1];
    memset(long_name, 'a', sizeof long_name);
    long_name[BOOKS_MAX] = 0;
    assert_false(books_valid(long_name));
    long_name[BOOKS_MAX - 1] = 0;
    assert_true(books_valid(long_name));
    assert_true(books_valid("0a-Z_9"));
    const char *bad[] = {"", ".", "..", "a/b", "a.b", "a b", "a\n", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(books_valid(bad[i]));
}

static void groups_are_folders_of_one_form(void **state)
{
    fixture *f = *state;
    int books, group_dir;
    bool made;
    generations list;
    assert_int_equal(cgroup_books_open(f->tree.root, "b", false, &books), STATUS_NOT_FOUND);
    assert_int_equal(cgroup_books_open(f->tree.root, "b", true, &books), 0);
    assert_int_equal(cgroup_group_open(books, 12, false, &group_dir, &made), STATUS_NOT_FOUND);
    assert_int_equal(cgroup_group_open(books, 12, true, &group_dir, &made), 0);
    assert_true(made);
    close(group_dir);
    assert_int_equal(cgroup_group_open(books, 12, true, &group_dir, &made), 0);
    assert_false(made);
    tree_text(&f->tree, "granary.b/c0/x", "");
    tree_text(&f->tree, "granary.b/c12x/x", "");
    tree_text(&f->tree, "granary.b/c-3/x", "");
    tree_text(&f->tree, "granary.b/d5/x", "");
    tree_text(&f->tree, "granary.b/c18446744073709551616/x", "");
    assert_int_equal(cgroup_list(books, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0], 12);
    free(list.items);
    assert_int_equal(cgroup_group_remove(books, 12), 0);
    assert_int_equal(cgroup_group_remove(books, 12), 0);
    close(group_dir);
    close(books);
}

static void a_link_in_place_of_a_group_is_refused(void **state)
{
    fixture *f = *state;
    char link_path[128];
    int books, dir;
    bool made;
    assert_int_equal(cgroup_books_open(f->tree.root, "b", true, &books), 0);
    snprintf(link_path, sizeof link_path, "%s/granary.b/c5", f->tree.root);
    assert_int_equal(symlink("/tmp", link_path), 0);
    assert_true(cgroup_group_open(books, 5, true, &dir, &made) < 0);
    close(books);
    snprintf(link_path, sizeof link_path, "%s/granary.evil", f->tree.root);
    assert_int_equal(symlink("/tmp", link_path), 0);
    assert_true(cgroup_books_open(f->tree.root, "evil", true, &dir) < 0);
}

static void long_lists_of_processes(void **state)
{
    fixture *f = *state;
    static char text[400000];
    size_t length = 0;
    for (int pid = 1; pid <= 40000; pid++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%d\n", pid + 100000);
    tree_write(&f->tree, "cgroup.procs", text, length);
    pids list = {0};
    assert_int_equal(cgroup_processes(f->proc.dir, &list), 0);
    assert_int_equal(list.count, PIDS_MAX);
    assert_true(list.cut);
    for (uint32_t i = 0; i < list.count; i++)
        assert_int_equal(list.items[i], 100001 + i);
    pids_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_versions_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mount_that_shows_a_part_of_the_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_find, setup, teardown),
        cmocka_unit_test_setup_teardown(the_least_limit_above, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test(fields_are_whole_words),
        cmocka_unit_test(names_of_books),
        cmocka_unit_test_setup_teardown(groups_are_folders_of_one_form, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_in_place_of_a_group_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lists_of_processes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
