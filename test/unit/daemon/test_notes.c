/* Every decision's line, exactly, and what hostile names can do to it: nothing. */
#include "bench.h"

#include "daemon/notes.h"

#define HOSTILE "x\" allocation=9 \\ \xc3\xa9"

static bench t;
static bench_client client;

static int set_up(void **state)
{
    (void)state;
    bench_open(&t, "");
    log_set_level(t.log, LOG_DEBUG);
    bench_agent(&t, true);
    bench_join(&t, &client);
    assert_int_equal(bench_allocate(&t, &client, "plain", MIB(1), 1, 0)->allocation->id, 1);
    assert_int_equal(bench_allocate(&t, &client, HOSTILE, MIB(1), 1, 0)->allocation->id, 2);
    assert_int_equal(bench_allocate(&t, &client, "", MIB(1), 1, 0)->allocation->id, 3);
    strcpy(t.b.local_host, "here"); /* shown is the name in the books, not this one */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bench_leave(&client);
    bench_close(&t);
    return 0;
}

static void line_is(const effect_note *note, log_level level, const char *expected)
{
    char text[LOG_TEXT_MAX];
    log_line line;
    note_write(&t.b, note);
    assert_true(log_at(t.log, 0, text, &line));
    assert_string_equal(text, expected);
    assert_int_equal(line.level, level);
}

static void test_each_kind_has_its_line(void **state)
{
    (void)state;
    static const struct {
        log_level level;
        const char *text;
    } lines[NOTE_KINDS] = {
        [NOTE_HOST_UP] = {LOG_INFO, "the host is up"},
        [NOTE_HOST_SUSPECT] = {LOG_WARNING, "the host's agent is gone: nothing new is placed there"},
        [NOTE_HOST_LOST] = {LOG_ERROR, "the host stays silent: its chunks stay granted until it is back"},
        [NOTE_HOST_REBOOTED] = {LOG_WARNING, "the host was started anew: its claims are over"},
        [NOTE_HOST_DRAINING] = {LOG_INFO, "the host is being emptied"},
        [NOTE_HOST_DRAINED] = {LOG_INFO, "the host is empty"},
        [NOTE_HOST_UNDRAINED] = {LOG_INFO, "the host takes requests again"},
        [NOTE_OVERDRAFT] = {LOG_WARNING, "bytes=1536 size=1.5K foreign memory rose above what is free"},
        [NOTE_GRANTED] = {LOG_INFO, "granted"},
        [NOTE_QUEUED] = {LOG_INFO, "waits in the queue"},
        [NOTE_REFUSED] = {LOG_INFO, "bytes=1536 size=1.5K refused"},
        [NOTE_GREW] = {LOG_INFO, "grew"},
        [NOTE_ENDED] = {LOG_INFO, "ended"},
        [NOTE_TIMED_OUT] = {LOG_INFO, "waited as long as it was allowed to"},
        [NOTE_HELD] = {LOG_INFO, "bytes=1536 size=1.5K memory is held for it"},
        [NOTE_RECALL] = {LOG_INFO, "chunks are asked back"},
        [NOTE_OFFERED] = {LOG_INFO, "offers chunks"},
        [NOTE_PREFERRED] = {LOG_INFO, "of the offer these are preferred"},
        [NOTE_GIVEN] = {LOG_INFO, "gave chunks back"},
        [NOTE_WITHDRAWN] = {LOG_INFO, "the recall is withdrawn"},
        [NOTE_OVERDUE] = {LOG_WARNING, "the recall is overdue"},
        [NOTE_RECALL_DONE] = {LOG_INFO, "the recall is answered"},
        [NOTE_REVOKED] = {LOG_WARNING, "byte_ms=1536 taken by force"},
        [NOTE_CLAIMED] = {LOG_INFO, "claimed"},
        [NOTE_CLAIM_ENDED] = {LOG_INFO, "the claim ended"},
        [NOTE_QUARANTINED] = {LOG_WARNING, "bytes=1536 size=1.5K memory stays charged after the end: it is not sold "
                                           "until it is free"},
        [NOTE_UNQUARANTINED] = {LOG_INFO, "bytes=1536 size=1.5K the memory is free after all"},
        [NOTE_SESSION_DETACHED] = {LOG_DEBUG, "session=1536 lost its connection, and may come back"},
        [NOTE_SESSION_LOST] = {LOG_INFO, "session=1536 did not come back in time: what it holds ends"},
        [NOTE_LIMIT_REACHED] = {LOG_WARNING, "a table is full: raise the max_ settings in granary.conf"},
        [NOTE_CLAIM_OVER] = {LOG_WARNING, "bytes=1536 size=1.5K uses more than its lease, and nothing limits it here"},
    };
    for (note_kind kind = NOTE_HOST_UP; kind < NOTE_KINDS; kind++) {
        effect_note note = {.kind = kind, .host = HOST_NONE, .amount = 1536};
        line_is(&note, lines[kind].level, lines[kind].text);
    }
}

static void test_what_a_line_names(void **state)
{
    (void)state;
    char expected[256];
    host_view v;
    assert_int_equal(view_host_by_id(t.b.driver.core, t.b.link.host, &v), 0);
    effect_note note = {.kind = NOTE_RECALL,
                        .host = t.b.link.host,
                        .allocation = {1},
                        .beneficiary = {3},
                        .recall = {4},
                        .claim = {5},
                        .chunks = 6,
                        .status = STATUS_NOT_NOW};
    snprintf(
        expected, sizeof expected,
        "host=%s allocation=1 allocation_label=\"plain\" for=3 recall=4 claim=5 chunks=6 status=NOT_NOW chunks are "
        "asked back",
        v.name);
    line_is(&note, LOG_INFO, expected);
    note = (effect_note){.kind = NOTE_REFUSED,
                         .host = HOST_NONE,
                         .chunks = 2,
                         .amount = MIB(1),
                         .status = STATUS_NEVER,
                         .pid = 812,
                         .user = {1000}};
    line_is(&note, LOG_INFO, "chunks=2 bytes=1048576 size=1.0M uid=1000 pid=812 status=NEVER refused");
    note = (effect_note){.kind = NOTE_ENDED, .host = {77}, .allocation = {99}, .beneficiary = {1}}; /* gone already */
    line_is(&note, LOG_INFO, "allocation=99 for=1 for_label=\"plain\" ended");
}

static void test_a_hostile_label_stays_inside_its_quotes(void **state)
{
    (void)state;
    effect_note note = {.kind = NOTE_RECALL, .host = HOST_NONE, .allocation = {2}};
    const char *line = "allocation=2 allocation_label=\"x\\\" allocation=9 \\\\ \\xc3\\xa9\" chunks are asked back";
    line_is(&note, LOG_INFO, line);
    note.kind = NOTE_GIVEN; /* one that is kept as data */
    line_is(&note, LOG_INFO, "allocation=2 allocation_label=\"x\\\" allocation=9 \\\\ \\xc3\\xa9\" gave chunks back");
}

static void test_the_longest_labels_fit(void **state)
{
    (void)state;
    char label[LABEL_MAX], expected[512], quoted[2 * LABEL_MAX];
    memset(label, '\\', LABEL_MAX - 1);
    label[LABEL_MAX - 1] = '\0';
    assert_int_equal(bench_allocate(&t, &client, label, MIB(1), 1, 0)->allocation->id, 4);
    effect_note note = {.kind = NOTE_GIVEN, .host = HOST_NONE, .allocation = {4}, .beneficiary = {4}};
    log_quote(label, quoted, sizeof quoted);
    assert_true(strlen(quoted) >= 2 * (LABEL_MAX - 3) && quoted[strlen(quoted) - 1] == '"');
    snprintf(expected, sizeof expected, "allocation=4 allocation_label=%s for=4 for_label=%s gave chunks back", quoted,
             quoted);
    line_is(&note, LOG_INFO, expected);
}

static void test_a_line_that_nobody_wants_is_not_made(void **state)
{
    (void)state;
    effect_note note = {.kind = NOTE_HOST_UP, .host = HOST_NONE};
    log_set_level(t.log, LOG_WARNING);
    char before[LOG_TEXT_MAX];
    strcpy(before, bench_log(&t, 0));
    note_write(&t.b, &note);
    note.kind = NOTE_GIVEN;
    note_write(&t.b, &note);
    assert_string_equal(bench_log(&t, 0), before);
    log_set_level(t.log, LOG_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_line),
        cmocka_unit_test(test_what_a_line_names),
        cmocka_unit_test(test_a_hostile_label_stays_inside_its_quotes),
        cmocka_unit_test(test_the_longest_labels_fit),
        cmocka_unit_test(test_a_line_that_nobody_wants_is_not_made),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
