/* sqlite: what was committed is there again, on a full disk too. */
#include "folder.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "store/sqlite.h"

static char why[256];

static store *open_store(const folder *f, bool sync)
{
    store *s = NULL;
    store_sqlite_options options = {.directory = f->path, .sync_each_commit = sync};
    int r = store_sqlite_open(&s, &options, why, sizeof why);
    if (r != 0)
        fail_msg("%d: %s", r, why);
    return s;
}

static void commits_come_back_in_order(void **state)
{
    for (int sync = 0; sync < 2; sync++) {
        folder_open(state);
        folder *f = *state;
        store *s = open_store(f, sync);
        assert_int_equal(strlen(s->meta.broker_id), 32);
        assert_string_equal(s->meta.boot_id, ""); /* no start before this one */
        assert_true(s->meta.reserved == 0);
        char broker_id[33];
        strcpy(broker_id, s->meta.broker_id);
        assert_string_equal(gather(s), "");
        assert_int_equal(put_text(s, "one"), 0);
        assert_int_equal(put_text(s, ""), 0);
        assert_int_equal(put_text(s, "two"), 0);
        assert_int_equal(store_reserve(s, UINT64_MAX), 0);
        assert_int_equal(store_journal_bytes(s), 6);
        assert_null(store_failure(s));
        assert_null(store_notice(s));
        store_close(s);

        s = open_store(f, sync);
        assert_string_equal(s->meta.broker_id, broker_id);
        assert_int_equal(strlen(s->meta.boot_id), 36);
        assert_true(s->meta.reserved == UINT64_MAX);
        assert_int_equal(store_journal_bytes(s), 6);
        assert_string_equal(gather(s), "one,,two,");
        store_close(s);
        if (!sync)
            folder_close(state);
    }
}

static void a_snapshot_replaces_all_at_once(void **state)
{
    folder *f = *state;
    store *s = open_store(f, false);
    assert_int_equal(put_text(s, "one"), 0);
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"uno", 3), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"due", 3), 0);
    assert_int_equal(store_snapshot_end(s), 0);
    assert_int_equal(store_journal_bytes(s), 0);
    assert_int_equal(put_text(s, "two"), 0);
    assert_string_equal(gather(s), "uno,due,two,");
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"tre", 3), 0);
    store_close(s); /* unfinished: as if it had not begun */
    s = open_store(f, false);
    assert_string_equal(gather(s), "uno,due,two,");
    store_close(s);
}

/* Bytes that this process has written ever. */
static long written(void)
{
    char line[64];
    long n = -1;
    FILE *io = fopen("/proc/self/io", "r");
    assert_non_null(io);
    while (fgets(line, sizeof line, io) && sscanf(line, "wchar: %ld", &n) != 1)
        ;
    fclose(io);
    assert_true(n >= 0);
    return n;
}

static void a_snapshot_does_not_write_the_old_journal_again(void **state)
{
    store *s = open_store(*state, false);
    static uint8_t blob[64 << 10];
    memset(blob, 'x', sizeof blob);
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_commit(s, blob, sizeof blob), 0);
    long before = written();
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, blob, sizeof blob), 0);
    assert_int_equal(store_snapshot_end(s), 0);
    assert_true(written() - before < (long)sizeof blob * 50); /* checkpoint of the log's rest, snapshot twice */
    store_close(s);
}

/* The process dies without closing anything: the log file is all there is. */
static void commits_survive_the_death_of_the_process(void **state)
{
    folder *f = *state;
    pid_t child = fork();
    if (child == 0) {
        store *s = open_store(f, false);
        for (int i = 0; i < 100; i++)
            if (put_text(s, "x") != 0)
                _exit(1);
        if (store_reserve(s, 1000) != 0)
            _exit(2);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store *s = open_store(f, false);
    assert_int_equal(store_journal_bytes(s), 100);
    assert_true(s->meta.reserved == 1000);
    store_close(s);
}

/* A power cut tears the log's end: whole commits before the tear stay. */
static void a_torn_log_loses_its_tail_only(void **state)
{
    folder *f = *state;
    pid_t child = fork();
    if (child == 0) {
        store *s = open_store(f, false);
        for (int i = 0; i < 10; i++)
            put_text(s, "x");
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    long size = folder_size(f, "journal.db-wal");
    assert_true(size > 4096);
    assert_int_equal(truncate(folder_file(f, "journal.db-wal"), size - 100), 0);
    store *s = open_store(f, false);
    assert_int_equal(store_journal_bytes(s), 9);
    store_close(s);
}

static void two_may_not_open_one_directory(void **state)
{
    folder *f = *state;
    store *s = open_store(f, false), *second = NULL;
    store_sqlite_options options = {.directory = f->path};
    assert_int_equal(store_sqlite_open(&second, &options, why, sizeof why), STATUS_BUSY);
    assert_null(second);
    assert_non_null(strstr(why, "another broker (pid "));
    assert_int_equal(put_text(s, "one"), 0); /* and the first is unharmed */
    store_close(s);
    store_close(open_store(f, false));
}

static void what_must_exist_is_not_made(void **state)
{
    folder *f = *state;
    store *s = NULL;
    store_sqlite_options options = {.directory = f->path, .must_exist = true};
    assert_int_equal(store_sqlite_open(&s, &options, why, sizeof why), STATUS_NOT_FOUND);
    assert_null(s);
    assert_int_equal(folder_size(f, "journal.db"), -1);
    options.directory = "/nonexistent/granary";
    assert_int_equal(store_sqlite_open(&s, &options, why, sizeof why), STATUS_SYSTEM);
    assert_string_equal(why, "cannot open the directory /nonexistent/granary: No such file or directory");
}

static void harmed_meta_is_refused(void **state)
{
    folder *f = *state;
    static const char *const harm[] = {
        "UPDATE meta SET value = 'short' WHERE key = 'broker_id'",
        "UPDATE meta SET value = 'XYZ456789abcdef0123456789abcdef0' WHERE key = 'broker_id'",
        "UPDATE meta SET value = 'many' WHERE key = 'reserved'",
        "DELETE FROM meta WHERE key = 'boot_id'",
        "DROP TABLE journal",
    };
    store_close(open_store(f, false));
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        char command[512];
        store *s = NULL;
        snprintf(command, sizeof command, "cp %s/journal.db %s/copy", f->path, f->path);
        assert_int_equal(system(command), 0);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(folder_file(f, "journal.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, harm[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        store_sqlite_options options = {.directory = f->path};
        assert_int_equal(store_sqlite_open(&s, &options, why, sizeof why), STATUS_CORRUPT);
        assert_non_null(strstr(why, "journal.db is damaged"));
        snprintf(command, sizeof command, "mv %s/copy %s/journal.db; rm -f %s/journal.db-wal", f->path, f->path,
                 f->path);
        assert_int_equal(system(command), 0);
    }
    store_close(open_store(f, false));
}

/* ---- a full disk: a small file system of our own ---- */

static bool mount_small(const folder *f, const char *size)
{
    char data[32];
    snprintf(data, sizeof data, "size=%s", size);
    if (mount("granary-test", f->path, "tmpfs", 0, data) == 0)
        return true;
    print_message("cannot mount a small file system (%s): skipped\n", strerror(errno));
    return false;
}

static void unmount(const folder *f)
{
    assert_int_equal(umount(f->path), 0);
}

/* Takes all room that is left. */
static void fill(const folder *f)
{
    char block[4096] = {1};
    int fd = open(folder_file(f, "filler"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void the_ballast_carries_commits_over_a_full_disk(void **state)
{
    folder *f = *state;
    if (!mount_small(f, "20M"))
        skip();
    char big[3000];
    memset(big, 'x', sizeof big);
    store *s = open_store(f, false);
    assert_int_equal(put_text(s, "first"), 0);
    assert_true(folder_size(f, "ballast") > 0);
    fill(f);

    int done = 0, r = 0;
    const char *notice = NULL;
    while (!notice && (r = store_commit(s, (const uint8_t *)big, sizeof big)) == 0 && done < 5000) {
        done++;
        notice = store_notice(s);
    }
    assert_int_equal(r, 0);
    assert_non_null(notice);
    assert_non_null(strstr(notice, "is full: gave up the ballast to go on; make room"));
    assert_null(store_notice(s));
    assert_int_equal(folder_size(f, "ballast"), -1);
    assert_null(store_failure(s));

    /* The room that it kept ends too: then the store fails, with the reason, for good. */
    while ((r = store_commit(s, (const uint8_t *)big, sizeof big)) == 0 && done < 20000)
        done++;
    assert_int_equal(r, STATUS_SYSTEM);
    assert_non_null(strstr(store_failure(s), "a commit to "));
    assert_non_null(strstr(store_failure(s), "database or disk is full"));
    assert_int_equal(put_text(s, "late"), STATUS_SYSTEM);
    store_close(s);

    /* Every commit that was acknowledged is there; once there is room, so is the ballast. */
    assert_int_equal(unlink(folder_file(f, "filler")), 0);
    s = open_store(f, false);
    assert_int_equal(store_journal_bytes(s), 5 + (uint64_t)done * sizeof big);
    store_close(s);
    unmount(f);
}

static void a_snapshot_without_room_is_put_off(void **state)
{
    folder *f = *state;
    if (!mount_small(f, "20M"))
        skip();
    static uint8_t big[1 << 20];
    store *s = open_store(f, false);
    assert_int_equal(put_text(s, "one"), 0);
    fill(f);
    int r = store_snapshot_begin(s);
    for (int i = 0; i < 20 && r == 0; i++)
        r = store_snapshot_put(s, big, sizeof big);
    assert_int_equal(r, STATUS_NOT_NOW);
    assert_non_null(strstr(store_notice(s), "no room for a snapshot under "));
    assert_null(store_failure(s));
    assert_int_equal(put_text(s, "two"), 0); /* life goes on */
    assert_string_equal(gather(s), "one,two,");
    assert_int_equal(unlink(folder_file(f, "filler")), 0);
    unlink(folder_file(f, "ballast"));
    assert_int_equal(store_snapshot_begin(s), 0);
    assert_int_equal(store_snapshot_put(s, (const uint8_t *)"both", 4), 0);
    assert_int_equal(store_snapshot_end(s), 0);
    assert_string_equal(gather(s), "both,");
    assert_true(folder_size(f, "ballast") > 0); /* grown again */
    store_close(s);
    unmount(f);
}

static void a_full_disk_does_not_keep_the_broker_out(void **state)
{
    folder *f = *state;
    if (!mount_small(f, "20M"))
        skip();
    store *s = open_store(f, false);
    assert_int_equal(put_text(s, "one"), 0);
    store_close(s);
    unlink(folder_file(f, "ballast"));
    fill(f);
    s = open_store(f, false);
    assert_non_null(strstr(store_notice(s), "no room for the ballast beside "));
    assert_string_equal(gather(s), "one,");
    store_close(s);
    unmount(f);
}

#define IN_FOLDER(t) cmocka_unit_test_setup_teardown(t, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(commits_come_back_in_order, folder_close),
        IN_FOLDER(a_snapshot_replaces_all_at_once),
        IN_FOLDER(a_snapshot_does_not_write_the_old_journal_again),
        IN_FOLDER(commits_survive_the_death_of_the_process),
        IN_FOLDER(a_torn_log_loses_its_tail_only),
        IN_FOLDER(two_may_not_open_one_directory),
        IN_FOLDER(what_must_exist_is_not_made),
        IN_FOLDER(harmed_meta_is_refused),
        IN_FOLDER(the_ballast_carries_commits_over_a_full_disk),
        IN_FOLDER(a_snapshot_without_room_is_put_off),
        IN_FOLDER(a_full_disk_does_not_keep_the_broker_out),
    };
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
