#include "cmocka_all.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/status.h"
#include "daemon/locks.h"

static char folder[] = "/tmp/granary-locks-XXXXXX";
static char directory[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(directory, sizeof directory, "%s/a/state", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[sizeof directory + 8];
    snprintf(path, sizeof path, "%s/lock", directory);
    unlink(path);
    rmdir(directory);
    snprintf(path, sizeof path, "%s/a/link", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/a", folder);
    rmdir(path);
    return rmdir(folder);
}

static void test_state_is_locked_once(void **state)
{
    (void)state;
    int first = -1, second = -1;
    char why[512] = "", expected[512];
    struct stat st;
    assert_int_equal(locks_state(directory, geteuid(), getegid(), &first, why, sizeof why), 0);
    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(locks_state(directory, geteuid(), getegid(), &second, why, sizeof why), STATUS_BUSY);
    snprintf(expected, sizeof expected,
             "another broker (pid %d) uses the state directory %s: stop it, or give this one another --state DIR",
             (int)getpid(), directory);
    assert_string_equal(why, expected);
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(locks_state(directory, geteuid(), getegid(), &second, why, sizeof why), 0);
    close(second);
}

static void test_a_child_keeps_the_lock_until_it_ends(void **state)
{
    (void)state;
    int fd = -1, gate[2];
    char why[512] = "";
    assert_int_equal(pipe(gate), 0);
    pid_t pid = fork();
    if (pid == 0) { /* the supervisor: leaves a child with the open file, and dies */
        if (locks_state(directory, geteuid(), getegid(), &fd, why, sizeof why) < 0)
            _exit(1);
        pid_t child = fork();
        if (child == 0) {
            struct pollfd none = {.fd = -1};
            write(gate[1], "x", 1);
            poll(&none, 1, 300); /* a broker that takes its time to notice */
        }
        _exit(0);
    }
    char byte;
    assert_int_equal(read(gate[0], &byte, 1), 1);
    waitpid(pid, NULL, 0);
    assert_int_equal(locks_state(directory, geteuid(), getegid(), &fd, why, sizeof why), 0);
    close(fd);
    close(gate[0]);
    close(gate[1]);
}

static void test_a_link_is_refused(void **state)
{
    (void)state;
    int fd = -1;
    char why[512] = "", path[sizeof directory];
    assert_int_equal(locks_state(directory, geteuid(), getegid(), &fd, why, sizeof why), 0);
    close(fd);
    snprintf(path, sizeof path, "%s/a/link", folder);
    assert_int_equal(symlink(directory, path), 0);
    assert_int_equal(locks_state(path, geteuid(), getegid(), &fd, why, sizeof why), STATUS_SYSTEM);
    assert_non_null(strstr(why, "cannot be opened"));
}

static void test_the_machine_lock_names_its_holder(void **state)
{
    (void)state;
    char name[64], why[512] = "", expected[128];
    int fd = -1, second = -1;
    snprintf(name, sizeof name, "granary-test-%d", (int)getpid());
    assert_int_equal(locks_machine(name, &fd, why, sizeof why), 0);
    pid_t pid = fork();
    if (pid == 0) { /* the holder answers one who asks */
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 5000);
        locks_machine_answer(fd, "/run/granary/granary.sock");
        _exit(0);
    }
    assert_int_equal(locks_machine(name, &second, why, sizeof why), STATUS_BUSY);
    waitpid(pid, NULL, 0);
    snprintf(expected, sizeof expected, "pid %d, socket /run/granary/granary.sock: use that one", (int)getpid());
    if (!strstr(why, expected))
        fail_msg("said: %s", why);
    close(fd);
    assert_int_equal(locks_machine(name, &second, why, sizeof why), 0);
    close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_state_is_locked_once, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_child_keeps_the_lock_until_it_ends, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_link_is_refused, make_folder, remove_folder),
        cmocka_unit_test(test_the_machine_lock_names_its_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
