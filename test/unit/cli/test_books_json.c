/* books_json: the names and numbers that scripts rely on. */
#include "fixture.h"

#include "cli/books.h"

static json_int_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static const char *text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static void tells_hosts(void **state)
{
    (void)state;
    json_t *root = books_json(&books, BOOKS_ALL);
    const json_t *h = json_array_get(json_object_get(root, "hosts"), 0);
    assert_int_equal(number(root, "sequence"), 42);
    assert_string_equal(text(h, "name"), "one");
    assert_string_equal(text(h, "state"), "up");
    assert_string_equal(text(h, "enforcement"), "cgroup v1");
    assert_int_equal(number(h, "cores"), 4);
    assert_int_equal(number(h, "total"), 3221225472);
    assert_int_equal(number(h, "set_aside"), 536870912);
    assert_int_equal(number(h, "granted"), 1468006400);
    assert_int_equal(number(h, "free"), 1216348160);
    assert_int_equal(number(h, "used"), 629145600);
    static const char *const zero[] = {"foreign", "returning", "held", "quarantine", "overdraft"};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
        assert_int_equal(number(h, zero[i]), 0);
    json_decref(root);
}

static void tells_allocations(void **state)
{
    (void)state;
    json_t *root = books_json(&books, BOOKS_ALL);
    const json_t *list = json_object_get(root, "allocations");
    assert_int_equal(json_array_size(list), 1); /* the waiting one is in the queue */
    const json_t *a = json_array_get(list, 0);
    assert_int_equal(number(a, "id"), 7);
    assert_string_equal(text(a, "label"), "thumbs");
    assert_string_equal(text(a, "user"), "4000000");
    assert_int_equal(number(a, "pid"), 100);
    assert_int_equal(number(a, "chunk_size"), 734003200);
    assert_int_equal(number(a, "min"), 1);
    assert_int_equal(number(a, "want"), 4);
    assert_int_equal(number(a, "chunks"), 2);
    const json_t *h = json_array_get(json_object_get(a, "hosts"), 0);
    assert_string_equal(text(h, "host"), "one");
    assert_int_equal(number(h, "chunks"), 2);
    const json_t *c = json_array_get(json_object_get(a, "claims"), 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(c, "pids"), 0)), 200);
    assert_string_equal(text(c, "host"), "one");
    assert_int_equal(number(c, "chunks"), 1);
    assert_int_equal(number(c, "used"), 629145600);
    assert_int_equal(number(c, "peak"), 681574400);
    assert_string_equal(text(c, "command"), "xz -9");
    json_decref(root);
}

static void tells_queue_and_recalls(void **state)
{
    (void)state;
    claim.allocation = 8; /* its command waits under a limit */
    claim.chunks = 0;
    json_t *root = books_json(&books, BOOKS_ALL);
    const json_t *w = json_array_get(json_object_get(root, "queue"), 0);
    assert_int_equal(json_array_size(json_object_get(w, "claims")), 1);
    assert_int_equal(number(json_array_get(json_object_get(w, "claims"), 0), "chunks"), 0);
    assert_int_equal(number(w, "id"), 8);
    assert_int_equal(number(w, "waiting_ms"), 1500);
    assert_string_equal(text(w, "reason"), "a recall for it is under way");
    assert_true(json_is_null(json_object_get(w, "expected_ms")));
    const json_t *r = json_array_get(json_object_get(root, "recalls"), 0);
    assert_int_equal(number(r, "id"), 3);
    assert_int_equal(number(r, "allocation"), 7);
    assert_int_equal(number(r, "for"), 8);
    assert_int_equal(number(r, "asked"), 1);
    assert_int_equal(number(r, "released"), 0);
    assert_int_equal(number(r, "withdrawn"), 0);
    assert_int_equal(number(r, "revoked"), 0);
    assert_int_equal(number(r, "deadline_ms"), 60000);
    json_decref(root);
}

static void gives_the_parts_that_were_asked_for(void **state)
{
    (void)state;
    json_t *root = books_json(&books, BOOKS_QUEUE);
    assert_non_null(json_object_get(root, "queue"));
    assert_null(json_object_get(root, "hosts"));
    assert_null(json_object_get(root, "allocations"));
    assert_null(json_object_get(root, "recalls"));
    assert_int_equal(number(root, "sequence"), 42);
    json_decref(root);
}

static void survives_hostile_text(void **state)
{
    (void)state;
    allocation.label = (char *)"\xff\x1b[31m";
    json_t *root = books_json(&books, BOOKS_ALL);
    const json_t *a = json_array_get(json_object_get(root, "allocations"), 0);
    assert_string_equal(text(a, "label"), "\\xff\\x1b[31m");
    json_decref(root);
}

static void clamps_what_json_cannot_hold(void **state)
{
    (void)state;
    host.free = UINT64_MAX;
    json_t *root = books_json(&books, BOOKS_HOSTS);
    assert_int_equal(number(json_array_get(json_object_get(root, "hosts"), 0), "free"), INT64_MAX);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tells_hosts, fixture_setup),
        cmocka_unit_test_setup(tells_allocations, fixture_setup),
        cmocka_unit_test_setup(tells_queue_and_recalls, fixture_setup),
        cmocka_unit_test_setup(gives_the_parts_that_were_asked_for, fixture_setup),
        cmocka_unit_test_setup(survives_hostile_text, fixture_setup),
        cmocka_unit_test_setup(clamps_what_json_cannot_hold, fixture_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
