#include "cmocka_all.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/status.h"
#include "daemon/listen.h"

static char folder[] = "/tmp/granary-listen-XXXXXX";
static char path[sizeof folder + 32];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/run/granary.sock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    path[strlen(folder) + 4] = '\0';
    rmdir(path);
    return rmdir(folder);
}

static mode_t mode_of(const char *of)
{
    struct stat st;
    assert_int_equal(stat(of, &st), 0);
    return st.st_mode & 0777;
}

static void test_modes(void **state)
{
    (void)state;
    int fd = -1;
    char why[256] = "";
    assert_int_equal(listen_open(path, true, &fd, why, sizeof why), 0);
    assert_int_equal(mode_of(path), 0666);
    listen_remove(fd, path);
    close(fd);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(listen_open(path, false, &fd, why, sizeof why), 0);
    assert_int_equal(mode_of(path), 0600);
    close(fd);
}

static void test_stale_is_replaced_and_live_is_not(void **state)
{
    (void)state;
    int fd = -1, second = -1;
    char why[256] = "", expected[256];
    assert_int_equal(listen_open(path, false, &fd, why, sizeof why), 0);
    assert_int_equal(listen_open(path, false, &second, why, sizeof why), STATUS_BUSY);
    snprintf(expected, sizeof expected,
             "a broker (pid %d) is there already at %s: use it, or give another --socket PATH", (int)getpid(), path);
    assert_string_equal(why, expected);
    close(fd);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(listen_open(path, false, &second, why, sizeof why), 0);
    close(second);
}

static void test_a_file_is_not_replaced(void **state)
{
    (void)state;
    int fd = -1;
    char why[256] = "";
    assert_int_equal(listen_open(path, false, &fd, why, sizeof why), 0);
    close(fd);
    unlink(path);
    FILE *f = fopen(path, "w");
    fclose(f);
    assert_int_equal(listen_open(path, false, &fd, why, sizeof why), STATUS_SYSTEM);
    assert_non_null(strstr(why, "is there and is no socket: remove it"));
    assert_int_equal(access(path, F_OK), 0);
}

static void test_a_long_path(void **state)
{
    (void)state;
    int fd = -1;
    char why[512] = "", longer[200];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(listen_open(longer, false, &fd, why, sizeof why), STATUS_SYSTEM);
    assert_memory_equal(why, "the socket's path is longer than 107 bytes", 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_stale_is_replaced_and_live_is_not, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_file_is_not_replaced, make_folder, remove_folder),
        cmocka_unit_test(test_a_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
