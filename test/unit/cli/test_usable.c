/* usable: the share of one core. */
#include "fixture.h"

#include "cli/usable.h"

static void divides_by_cores(void **state)
{
    (void)state;
    assert_int_equal(usable_share(&books), MIB(640));
    host.cores = 3;
    assert_int_equal(usable_share(&books), MIB(853)); /* down to a MiB */
}

static void needs_a_host(void **state)
{
    (void)state;
    host.state = (char *)"lost";
    assert_int_equal(usable_share(&books), 0);
    host.state = (char *)"up";
    host.cores = 0;
    assert_int_equal(usable_share(&books), 0);
    books.n_hosts = 0;
    assert_int_equal(usable_share(&books), 0);
}

static void set_aside_may_be_all(void **state)
{
    (void)state;
    host.set_aside = host.total + 1;
    assert_int_equal(usable_share(&books), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(divides_by_cores, fixture_setup),
        cmocka_unit_test_setup(needs_a_host, fixture_setup),
        cmocka_unit_test_setup(set_aside_may_be_all, fixture_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
