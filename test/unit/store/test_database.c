/* database: made whole, told from any other file, locked. */
#include "folder.h"

#include "store/database.h"

static char why_text[256];
static const sentence why = {why_text, sizeof why_text};

static void expect_why(const char *part)
{
    if (!strstr(why_text, part))
        fail_msg("expected \"%s\" in: %s", part, why_text);
}

static void make(const folder *f)
{
    int dir = open(f->path, O_DIRECTORY | O_RDONLY);
    assert_int_equal(database_create(dir, folder_file(f, "journal.db"), why), 0);
    close(dir);
}

static int open_it(const folder *f)
{
    sqlite3 *db = NULL;
    int r = database_open(folder_file(f, "journal.db"), false, why, &db);
    if (r == 0)
        sqlite3_close(db);
    else
        assert_null(db);
    return r;
}

static void a_new_one_is_whole_and_private(void **state)
{
    folder *f = *state;
    struct stat st;
    folder_write(f, "journal.db.new", "half", 4); /* of one who died while making it */
    make(f);
    assert_int_equal(stat(folder_file(f, "journal.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(folder_size(f, "journal.db.new"), -1);
    assert_int_equal(open_it(f), 0);
    long size = folder_size(f, "journal.db");
    make(f); /* there is one: left alone */
    assert_int_equal(folder_size(f, "journal.db"), size);
}

static void a_missing_one_is_told(void **state)
{
    assert_int_equal(open_it(*state), STATUS_NOT_FOUND);
    expect_why("there is no journal at ");
}

static void other_files_are_refused_and_kept(void **state)
{
    folder *f = *state;
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        {"", 0},
        {"hello", 5},
        {"SQLite format 3", 16},
        {"\x7f"
         "ELF\2\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0"
         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
         112},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        folder_write(f, "journal.db", rows[i].data, rows[i].size);
        assert_int_equal(open_it(f), STATUS_CORRUPT);
        expect_why("journal.db is no journal of Granary: move it away, or choose another directory");
        assert_int_equal(folder_size(f, "journal.db"), (long)rows[i].size);
        assert_int_equal(folder_size(f, "journal.db-wal"), -1);
    }
    unlink(folder_file(f, "journal.db"));
    assert_int_equal(mkdir(folder_file(f, "journal.db"), 0700), 0);
    assert_int_equal(open_it(f), STATUS_CORRUPT);
    assert_int_equal(rmdir(folder_file(f, "journal.db")), 0);
}

static void another_programs_database_is_refused(void **state)
{
    folder *f = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(folder_file(f, "journal.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE journal(n)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_it(f), STATUS_CORRUPT);
    expect_why("is no journal of Granary");
}

static void another_version_is_refused(void **state)
{
    folder *f = *state;
    sqlite3 *db;
    make(f);
    assert_int_equal(sqlite3_open(folder_file(f, "journal.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_it(f), STATUS_CORRUPT);
    expect_why("has version 2, this Granary reads version 1: use the Granary that wrote it");
}

static void a_torn_file_is_refused(void **state)
{
    folder *f = *state;
    make(f);
    long whole = folder_size(f, "journal.db");
    /* Less than a page may be missing after a full disk; the log has it. */
    for (long size = whole - 4096; size > 100; size -= 1500) {
        assert_int_equal(truncate(folder_file(f, "journal.db"), size), 0);
        assert_int_equal(open_it(f), STATUS_CORRUPT);
        expect_why("journal.db fails its checks");
        assert_int_equal(folder_size(f, "journal.db"), size);
    }
}

static void a_page_of_garbage_is_refused(void **state)
{
    folder *f = *state;
    char garbage[4096];
    memset(garbage, 0xA5, sizeof garbage);
    make(f);
    long whole = folder_size(f, "journal.db");
    for (long at = 4096; at < whole; at += 4096) {
        int fd = open(folder_file(f, "journal.db"), O_RDWR);
        char page[4096];
        assert_int_equal(pread(fd, page, 4096, at), 4096);
        assert_int_equal(pwrite(fd, garbage, 4096, at), 4096);
        assert_int_equal(open_it(f), STATUS_CORRUPT);
        assert_int_equal(pwrite(fd, page, 4096, at), 4096);
        close(fd);
        assert_int_equal(open_it(f), 0);
    }
}

static void two_may_not_hold_it(void **state)
{
    folder *f = *state;
    sqlite3 *db;
    make(f);
    assert_int_equal(database_open(folder_file(f, "journal.db"), true, why, &db), 0);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM journal", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(open_it(f), STATUS_BUSY);
    expect_why("another process uses ");
    sqlite3_close(db);
    assert_int_equal(open_it(f), 0);
}

static void a_directory_has_one_holder(void **state)
{
    folder *f = *state;
    char expected[128];
    int dir = open(f->path, O_DIRECTORY | O_RDONLY), lock = -1, second = -7;
    assert_int_equal(database_lock(dir, f->path, why, &lock), 0);
    assert_int_equal(database_lock(dir, f->path, why, &second), STATUS_BUSY);
    assert_int_equal(second, -7);
    snprintf(expected, sizeof expected, "another broker (pid %d) uses %s: end it first", (int)getpid(), f->path);
    expect_why(expected);
    close(lock);
    assert_int_equal(database_lock(dir, f->path, why, &second), 0);
    close(second);
    close(dir);
}

static void numbers_and_texts_are_read_strictly(void **state)
{
    (void)state;
    sqlite3 *db;
    char text[4];
    uint64_t number = 7;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(database_ask_text(db, "SELECT 'abc'", text, sizeof text), SQLITE_OK);
    assert_string_equal(text, "abc");
    assert_int_equal(database_ask_text(db, "SELECT 'abcd'", text, sizeof text), SQLITE_CORRUPT);
    assert_int_equal(database_ask_text(db, "SELECT NULL", text, sizeof text), SQLITE_CORRUPT);
    assert_int_equal(database_ask_text(db, "SELECT 1 WHERE 0", text, sizeof text), SQLITE_CORRUPT);
    assert_int_equal(database_ask_number(db, "SELECT '-1'", &number), SQLITE_CORRUPT);
    assert_int_equal(database_ask_number(db, "SELECT ' 1'", &number), SQLITE_CORRUPT);
    assert_int_equal(database_ask_number(db, "SELECT '1x'", &number), SQLITE_CORRUPT);
    assert_int_equal(database_ask_number(db, "SELECT ''", &number), SQLITE_CORRUPT);
    assert_int_equal(database_ask_number(db, "SELECT '18446744073709551616'", &number), SQLITE_CORRUPT);
    assert_true(number == 7);
    assert_int_equal(database_ask_number(db, "SELECT '18446744073709551615'", &number), SQLITE_OK);
    assert_true(number == UINT64_MAX);
    sqlite3_close(db);
}

#define IN_FOLDER(t) cmocka_unit_test_setup_teardown(t, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_new_one_is_whole_and_private),   IN_FOLDER(a_missing_one_is_told),
        IN_FOLDER(other_files_are_refused_and_kept), IN_FOLDER(another_programs_database_is_refused),
        IN_FOLDER(another_version_is_refused),       IN_FOLDER(a_torn_file_is_refused),
        IN_FOLDER(a_page_of_garbage_is_refused),     IN_FOLDER(two_may_not_hold_it),
        IN_FOLDER(a_directory_has_one_holder),       cmocka_unit_test(numbers_and_texts_are_read_strictly),
    };
    return cmocka_run_group_tests_name("database", tests, NULL, NULL);
}
