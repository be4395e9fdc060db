/* sample: what claims use is the mean of two looks, each at most the claim's size. */
#include "fake.h"

#include "agent/sample.h"
#include "tree.h"

static void sampled(void **state)
{
    world *w = *state;
    tree t;
    procfs proc;
    sample s = {0};
    scratch room;
    assert_int_equal(scratch_init(&room, 1 << 20), 0);
    tree_make(&t);
    tree_text(&t, "meminfo", "MemTotal: 1000 kB\nMemAvailable: 300 kB\n");
    assert_int_equal(procfs_open(&proc, t.root), 0);
    claims_ready(w->claims, 1000);
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 1, .bytes = KIB(64)});
    world_order(w, (claim_order){.kind = CLAIM_ORDER_OPEN, .generation = 2, .bytes = KIB(64)});
    fake_find(&w->fake, 1)->used = KIB(100);
    fake_find(&w->fake, 2)->used = KIB(20);
    assert_int_equal(sample_take(&s, w->claims, &proc, &room), 0);
    assert_int_equal(s.in_use, KIB(700));
    assert_int_equal(s.claims_used, KIB(84));
    assert_int_equal(s.count, 2);
    assert_int_equal(s.rows[0].view.used + s.rows[1].view.used, KIB(120));
    scratch_reset(&room);

    fake_find(&w->fake, 2)->exists = false; /* removed by somebody: this sample is worth nothing */
    assert_int_equal(sample_take(&s, w->claims, &proc, &room), STATUS_STALE);
    s.count = 0;
    assert_int_equal(sample_take(&s, w->claims, &proc, &(scratch){0}), STATUS_NO_MEMORY);
    assert_int_equal(s.count, 0);
    scratch_finish(&room);
    procfs_close(&proc);
    tree_remove(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(sampled, world_setup, world_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
