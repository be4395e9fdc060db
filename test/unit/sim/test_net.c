/* Streams keep their order and lose only their end; what is soft may be lost, come twice and late. */
#include "net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MANY 2000u

typedef struct {
    uint64_t hard, soft, last, twice;
    bool broken, in_order;
} ear;

static ear near_ear, far_ear;
static sim run;

static void on_arrived(void *context, connection *c, const message *m)
{
    (void)c;
    ear *e = context;
    if (m->kind == MESSAGE_PUSH) {
        e->soft++;
        return;
    }
    assert_false(e->broken);
    uint64_t number = m->request.request.number.v;
    e->twice += number == e->last;
    e->in_order &= number == e->last + 1 || number == e->last;
    e->last = number;
    e->hard++;
}

static void on_broken(void *context, connection *c)
{
    (void)c;
    ear *e = context;
    assert_false(e->broken);
    e->broken = true;
}

static bool accept_it(void *context, connection *c, const char *name, net_end *ret)
{
    (void)context;
    (void)c;
    assert_string_equal(name, "client 1");
    *ret = (net_end){&far_ear, on_arrived, on_broken};
    return true;
}

static connection *start(const net_weather *w)
{
    near_ear = far_ear = (ear){.in_order = true};
    run = (sim){.plan = {.seed = 5}, .clock = clock_create()};
    run.net = net_create(&run);
    net_end end = {&near_ear, on_arrived, on_broken};
    assert_null(net_connect(run.net, "client 1", &end)); /* nobody listens */
    net_listen(run.net, &(net_listener){NULL, accept_it});
    net_set_weather(run.net, w);
    connection *c = net_connect(run.net, "client 1", &end);
    assert_non_null(c);
    return c;
}

static void stop(void)
{
    while (clock_turn(run.clock))
        ;
    net_destroy(run.net);
    clock_destroy(run.clock);
}

static void send_hard(connection *c, uint64_t number)
{
    core_event e = {.kind = EVENT_WANT, .request = {.number = {number}}};
    net_send(c, true, message_of_request(&e));
}

static void send_soft(connection *c)
{
    message *m = message_create(MESSAGE_PUSH);
    m->push.push.kind = PUSH_RECALL;
    net_send(c, false, m);
}

static void in_order_in_a_storm(void **state)
{
    (void)state;
    connection *c = start(&(net_weather){10, 5000, 200000, 0, 200000, 50000});
    for (uint64_t i = 1; i <= MANY; i++) {
        send_hard(c, i);
        send_soft(c);
    }
    while (clock_turn(run.clock))
        ;
    assert_int_equal(far_ear.hard, MANY);
    assert_true(far_ear.in_order);
    assert_in_range(near_ear.soft, MANY * 75 / 100, MANY * 85 / 100);
    net_close(c, true, true);
    stop();
    assert_true(far_ear.broken);
    assert_false(near_ear.broken);
}

static void requests_come_twice(void **state)
{
    (void)state;
    connection *c = start(&(net_weather){10, 20, 0, 500000, 0, 0});
    for (uint64_t i = 1; i <= MANY; i++) {
        send_hard(c, i);
        send_soft(c);
    }
    uint64_t sent = net_sent(run.net);
    stop();
    assert_int_equal(far_ear.hard, MANY + far_ear.twice);
    assert_in_range(far_ear.twice, MANY * 45 / 100, MANY * 55 / 100);
    assert_in_range(near_ear.soft, MANY * 145 / 100, MANY * 155 / 100);
    assert_int_equal(sent, 2 * MANY);
}

static void a_break_loses_only_the_end(void **state)
{
    (void)state;
    connection *c = start(&(net_weather){100, 10000, 0, 0, 0, 0});
    for (uint64_t i = 1; i <= MANY; i++)
        send_hard(c, i);
    clock_turn(run.clock);
    net_break(c);
    send_hard(c, MANY + 1);
    net_break(c);
    stop();
    assert_true(far_ear.in_order && near_ear.broken && far_ear.broken);
    assert_true(far_ear.hard < MANY);
}

static void a_polite_close_delivers(void **state)
{
    (void)state;
    connection *c = start(&(net_weather){100, 10000, 0, 0, 0, 0});
    for (uint64_t i = 1; i <= MANY; i++)
        send_hard(c, i);
    send_soft(c);
    net_stall(c, US_OF_MS(900));
    net_close(c, true, true);
    stop();
    assert_int_equal(far_ear.hard, MANY);
    assert_true(far_ear.broken);
    assert_int_equal(near_ear.soft, 0); /* it hears nothing any more */
    assert_false(near_ear.broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_in_a_storm),
        cmocka_unit_test(requests_come_twice),
        cmocka_unit_test(a_break_loses_only_the_end),
        cmocka_unit_test(a_polite_close_delivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
