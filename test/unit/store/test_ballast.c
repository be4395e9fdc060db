/* ballast: room that is really kept, and really given. */
#include "folder.h"

#include <sys/resource.h>
#include <signal.h>

#include "store/ballast.h"

static void it_keeps_blocks_and_gives_them_once(void **state)
{
    folder *f = *state;
    struct stat st;
    int dir = open(f->path, O_DIRECTORY | O_RDONLY);
    assert_false(ballast_give(dir, "ballast"));
    assert_true(ballast_grow(dir, "ballast"));
    assert_int_equal(stat(folder_file(f, "ballast"), &st), 0);
    assert_int_equal(st.st_size, BALLAST_BYTES);
    assert_true((uint64_t)st.st_blocks * 512 >= BALLAST_BYTES); /* no hole */
    assert_true(ballast_grow(dir, "ballast"));
    assert_true(ballast_give(dir, "ballast"));
    assert_int_equal(folder_size(f, "ballast"), -1);
    assert_false(ballast_give(dir, "ballast"));
    close(dir);
}

static void without_room_nothing_is_left(void **state)
{
    folder *f = *state;
    struct rlimit old, low = {.rlim_cur = BALLAST_BYTES / 2};
    int dir = open(f->path, O_DIRECTORY | O_RDONLY);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    bool grown = ballast_grow(dir, "ballast");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(grown);
    assert_int_equal(folder_size(f, "ballast"), -1);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_keeps_blocks_and_gives_them_once, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(without_room_nothing_is_left, folder_open, folder_close),
    };
    return cmocka_run_group_tests_name("ballast", tests, NULL, NULL);
}
