/* check_reality: books against a /proc and a tree of groups made for the test. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/differences.h"

static char root[64], proc[128], cgroup[128];
static check_world world;
static differences found;

static void folder(const char *format, const char *a, const char *b)
{
    char path[512];
    snprintf(path, sizeof path, format, a, b);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void process(int pid, char state)
{
    char path[512], name[16];
    snprintf(name, sizeof name, "%d", pid);
    folder("%s/%s", proc, name);
    snprintf(path, sizeof path, "%s/%d/stat", proc, pid);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%d (a ) b) %c 1 2 3\n", pid, state);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    fixture_reset();
    snprintf(root, sizeof root, "/tmp/granary-unit-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(proc, sizeof proc, "%s/proc", root);
    snprintf(cgroup, sizeof cgroup, "%s/cgroup", root);
    folder("%s%s", proc, "");
    folder("%s%s", cgroup, "");
    folder("%s/%s", cgroup, "memory");
    folder("%s/%s", cgroup, "memory/user");
    folder("%s/%s", cgroup, "memory/user/granary.abc");
    folder("%s/%s", cgroup, "memory/user/granary.abc/c5");
    folder("%s/%s", cgroup, "memory/user/granary.other");
    folder("%s/%s", cgroup, "memory/user/granary.other/c9");
    process(100, 'S');
    process(101, 'S');
    process(200, 'R');
    world = (check_world){proc, cgroup, "one"};
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    differences_finish(&found);
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static size_t look(void)
{
    differences_finish(&found);
    assert_int_equal(check_reality(&books, &world, &found), 0);
    return found.n;
}

static void agrees(void **state)
{
    (void)state;
    assert_int_equal(look(), 0);
}

static void a_group_without_a_claim_is_told(void **state)
{
    (void)state;
    folder("%s/%s", cgroup, "memory/user/granary.abc/c6");
    assert_int_equal(look(), 1);
    assert_string_equal(found.items[0].key, "group-unknown 6");
    assert_string_equal(found.items[0].text, "group granary.abc/c6: no claim in the books");
}

static void a_group_with_a_strange_name_is_told(void **state)
{
    (void)state;
    const char *const names[] = {"cx", "c05", "c0", "c5x", "c99999999999999999999", "mine", ".hidden"};
    const size_t n = sizeof names / sizeof *names;
    char path[128], text[256];
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "memory/user/granary.abc/%s", names[i]);
        folder("%s/%s", cgroup, path);
    }
    folder("%s/%s", cgroup, "memory/user/granary.abc/c5/below"); /* a task's own */
    folder("%s/%s", cgroup, "memory/user/granary.other/mine");
    assert_int_equal(look(), n);
    for (size_t i = 0; i < n; i++) {
        bool told = false;
        snprintf(text, sizeof text, "group granary.abc/%s: not made by Granary, ", names[i]);
        for (size_t k = 0; k < n; k++)
            told |= strncmp(found.items[k].text, text, strlen(text)) == 0;
        assert_true(told);
    }
    differences again = found;
    found = (differences){0};
    assert_int_equal(look(), n);
    differences_keep(&found, &again); /* the same names have the same keys */
    assert_int_equal(found.n, n);
    differences_finish(&again);
}

static void a_claim_without_a_group_is_told(void **state)
{
    (void)state;
    claim.id = 6;
    assert_int_equal(look(), 2);
    assert_string_equal(found.items[0].key, "group-unknown 5");
    assert_string_equal(found.items[1].key, "group-missing 6");
    host.enforcement = (char *)"watch";
    assert_int_equal(look(), 0);
}

static void dead_processes_are_told(void **state)
{
    (void)state;
    pids[0] = 201;
    assert_int_equal(look(), 1);
    assert_string_equal(found.items[0].key, "claim-pid 5");
    process(202, 'Z');
    pids[0] = 202;
    assert_int_equal(look(), 1);
}

static void leaks_are_told(void **state)
{
    (void)state;
    allocation.pid = 300;
    claim.n_pids = 0;
    assert_int_equal(look(), 1);
    assert_string_equal(found.items[0].key, "claim-leak 5");
    books.n_claims = 0;
    assert_int_equal(look(), 2);
    assert_string_equal(found.items[0].key, "allocation-leak 7");
    assert_string_equal(found.items[1].key, "group-unknown 5");
}

static void a_living_process_keeps_an_ownerless_claim(void **state)
{
    (void)state;
    allocation.pid = 300;
    assert_int_equal(look(), 0);
}

static void other_hosts_are_not_looked_at(void **state)
{
    (void)state;
    world.host = "two";
    pids[0] = 201;
    assert_int_equal(look(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_without_a_claim_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_with_a_strange_name_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_claim_without_a_group_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_processes_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(leaks_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_living_process_keeps_an_ownerless_claim, setup, teardown),
        cmocka_unit_test_setup_teardown(other_hosts_are_not_looked_at, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
