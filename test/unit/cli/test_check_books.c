/* check_books: consistent books pass; each law that is broken is told, and only that. */
#include "fixture.h"

#include "cli/differences.h"

static differences found;

static size_t look(void)
{
    differences_finish(&found);
    assert_int_equal(check_books(&books, &found), 0);
    return found.n;
}

static void told(const char *key)
{
    for (size_t i = 0; i < found.n; i++)
        if (strcmp(found.items[i].key, key) == 0)
            return;
    fail_msg("no difference '%s' among %zu", key, found.n);
}

static void consistent_books_agree(void **state)
{
    (void)state;
    assert_int_equal(look(), 0);
}

static void columns_must_add_up(void **state)
{
    (void)state;
    host.free -= 1;
    assert_int_equal(look(), 1);
    told("host-columns 0");
    assert_string_equal(found.items[0].text,
                        "host one: its columns add up to 3221225471 bytes, but its total is 3221225472");
}

static void an_overdraft_is_no_difference(void **state)
{
    (void)state;
    host.foreign = host.free + MIB(100);
    host.free = 0;
    host.overdraft = MIB(100);
    assert_int_equal(look(), 0);
}

static void columns_must_match_allocations(void **state)
{
    (void)state;
    host.granted -= MIB(700);
    host.free += MIB(700);
    assert_int_equal(look(), 1);
    told("host-granted 0");
    fixture_reset();
    holding.returning = 1;
    assert_int_equal(look(), 1);
    told("host-returning 0");
    fixture_reset();
    claim.state = (char *)"quarantined";
    assert_int_equal(look(), 2);
    told("host-quarantine 0");
    told("holding-claimed 7");
}

static void claims_must_be_held(void **state)
{
    (void)state;
    claim.chunks = holding.claimed = 3;
    assert_int_equal(look(), 1);
    told("holding-over 7");
    fixture_reset();
    claim.allocation = 99;
    look();
    told("claim-orphan 5");
    fixture_reset();
    allocation.chunks = 3;
    assert_int_equal(look(), 1);
    told("allocation-chunks 7");
}

static void recalls_must_be_sane(void **state)
{
    (void)state;
    recall.released = 2;
    look();
    told("recall-counts 3");
    fixture_reset();
    recall.asked = 2;
    assert_int_equal(look(), 1);
    told("recall-min 7");
    recall.reason = (char *)"operator"; /* people may ask for what is firm */
    assert_int_equal(look(), 0);
    recall.asked = 3;
    assert_int_equal(look(), 1);
    told("recall-more 7");
    fixture_reset();
    recall.allocation = 99;
    assert_int_equal(look(), 1);
    told("recall-orphan 3");
}

static int teardown(void **state)
{
    (void)state;
    differences_finish(&found);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(consistent_books_agree, fixture_setup, teardown),
        cmocka_unit_test_setup_teardown(columns_must_add_up, fixture_setup, teardown),
        cmocka_unit_test_setup_teardown(an_overdraft_is_no_difference, fixture_setup, teardown),
        cmocka_unit_test_setup_teardown(columns_must_match_allocations, fixture_setup, teardown),
        cmocka_unit_test_setup_teardown(claims_must_be_held, fixture_setup, teardown),
        cmocka_unit_test_setup_teardown(recalls_must_be_sane, fixture_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
