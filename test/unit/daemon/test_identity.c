#include "cmocka_all.h"

#include <sys/wait.h>

#include "base/status.h"
#include "daemon/identity.h"

static void test_who(void **state)
{
    (void)state;
    identity who;
    char why[256] = "";
    assert_int_equal(identity_choose("root", &who, why, sizeof why), 0);
    assert_false(who.drop);
    if (geteuid() != 0)
        return; /* an ordinary user's broker stays who it is */
    assert_int_equal(identity_choose("nobody", &who, why, sizeof why), 0);
    assert_true(who.drop);
    assert_int_equal(who.uid, 65534);
    assert_string_equal(who.name, "nobody");
    assert_int_equal(identity_choose("no-such-user-here", &who, why, sizeof why), STATUS_NOT_FOUND);
    assert_memory_equal(why, "user = no-such-user-here: there is no such user", 47);
}

static int in_child(const identity *who, bool check_root_is_gone)
{
    pid_t pid = fork();
    if (pid == 0) {
        identity_become(who);
        if (check_root_is_gone && (setuid(0) == 0 || geteuid() != who->uid || getegid() != who->gid))
            _exit(1);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    return status;
}

static void test_becoming_is_for_good(void **state)
{
    (void)state;
    identity stay = {.uid = geteuid(), .gid = getegid()}, nobody = {.drop = true, .uid = 65534, .gid = 65534};
    assert_int_equal(in_child(&stay, false), 0);
    if (geteuid() == 0)
        assert_int_equal(in_child(&nobody, true), 0);
    else
        assert_true(WIFSIGNALED(in_child(&nobody, false))); /* what fails aborts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_becoming_is_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
