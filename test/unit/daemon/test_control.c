#include "cmocka_all.h"

#include <sys/socket.h>

#include "base/status.h"
#include "daemon/control.h"

static void test_kinds(void **state)
{
    (void)state;
    int pair[2];
    control_message m;
    assert_int_equal(control_pair(pair), 0);
    assert_int_equal(control_receive(pair[1], &m), 0);
    control_send(pair[0], CONTROL_READY);
    control_send_books(pair[0], "0123456789abcdef0123456789abcdef");
    control_send(-1, CONTROL_QUIT);
    assert_int_equal(control_receive(pair[1], &m), 1);
    assert_int_equal(m.kind, CONTROL_READY);
    assert_int_equal(m.fd, -1);
    assert_string_equal(m.books, "");
    assert_int_equal(control_receive(pair[1], &m), 1);
    assert_int_equal(m.kind, CONTROL_BOOKS);
    assert_string_equal(m.books, "0123456789abcdef0123456789abcdef");
    assert_int_equal(control_receive(pair[1], &m), 0);
    close(pair[0]);
    assert_int_equal(control_receive(pair[1], &m), STATUS_LOST);
    assert_int_equal(control_send_link(pair[1], 0), STATUS_LOST);
    close(pair[1]);
}

static void test_a_link_brings_its_descriptor(void **state)
{
    (void)state;
    int pair[2], link[2];
    char byte = 0;
    control_message m;
    assert_int_equal(control_pair(pair), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, link), 0);
    assert_int_equal(control_send_link(pair[0], link[0]), 0);
    assert_int_equal(control_receive(pair[1], &m), 1);
    assert_int_equal(m.kind, CONTROL_LINK);
    assert_true(m.fd >= 0);
    assert_int_equal(write(m.fd, "x", 1), 1);
    assert_int_equal(read(link[1], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(m.fd);
    close(link[0]);
    close(link[1]);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_a_link_brings_its_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
