#include "cmocka_all.h"

#include "base/status.h"
#include "daemon/requests.h"
#include "granary.pb-c.h"

static request_room room;
static scratch memory;
static core_event event;
static char why[REQUEST_WHY_MAX];
static uint8_t body[64 << 10];

static int find_host(void *userdata, const char *name, host_id *ret)
{
    (void)userdata;
    if (strcmp(name, "node1") != 0)
        return STATUS_NOT_FOUND;
    ret->v = 5;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    room.default_notice = 777;
    return scratch_init(&memory, 256 << 10);
}

static int tear_down(void **state)
{
    (void)state;
    scratch_finish(&memory);
    return 0;
}

static int read_body(uint16_t type, size_t size)
{
    frame f = {.header = {.type = type, .length = (uint32_t)size}, .body = body, .fd = -1};
    scratch_reset(&memory);
    why[0] = '\0';
    return request_read(&room, &memory, &f, find_host, NULL, &event, why, sizeof why);
}

static int read_message(uint16_t type, const ProtobufCMessage *m)
{
    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof body);
    return read_body(type, protobuf_c_message_pack(m, body));
}

static Granary__Terms good_terms(void)
{
    Granary__Terms t = GRANARY__TERMS__INIT;
    t.label = (char *)"x";
    t.chunk_size = 700 << 20;
    t.want = 4;
    return t;
}

static int read_terms(Granary__Terms t)
{
    Granary__Allocate m = GRANARY__ALLOCATE__INIT;
    m.terms = &t;
    return read_message(GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE, &m.base);
}

static void test_terms(void **state)
{
    (void)state;
    assert_int_equal(read_terms(good_terms()), 0);
    assert_int_equal(event.kind, EVENT_ALLOCATE);
    const allocation_terms *t = &event.allocate.terms;
    assert_string_equal(t->label, "x");
    assert_int_equal(t->min, 4); /* not growable: all or nothing */
    assert_int_equal(t->notice_ms, 777);
    assert_int_equal(t->wait_ms, MS_NEVER);
    assert_false(event.allocate.dry_run);

    Granary__Terms g = good_terms();
    g.flags = TERM_GROWABLE;
    g.wait_ms = 10;
    assert_int_equal(read_terms(g), 0);
    assert_int_equal(t->min, 0);
    assert_int_equal(t->wait_ms, 10);
    assert_int_equal(t->flags, TERM_GROWABLE | TERM_RECALLABLE); /* who grows gives back, */
    g.flags = TERM_GROWABLE | TERM_KEEP;
    assert_int_equal(read_terms(g), 0);
    assert_int_equal(t->flags, TERM_GROWABLE); /* unless it said that it keeps what it has */
    g.flags = TERM_KEEP | TERM_ONE_HOST;
    assert_int_equal(read_terms(g), 0);
    assert_int_equal(t->flags, TERM_ONE_HOST);

    Granary__Allocate plan = GRANARY__ALLOCATE__INIT;
    plan.terms = &g;
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_PLAN, &plan.base), 0);
    assert_true(event.allocate.dry_run);
}

static void test_bad_terms(void **state)
{
    (void)state;
    char longer[LABEL_MAX + 1];
    memset(longer, 'a', sizeof longer);
    longer[LABEL_MAX] = '\0';
    Granary__Terms bad[10];
    const char *words[10] = {"the label",
                             "the label",
                             "0 chunks",
                             "0 bytes",
                             "4 chunks of",
                             "unknown terms",
                             "the least",
                             "the list",
                             "chunks cannot be both",
                             "chunks cannot be both"};
    for (size_t i = 0; i < 10; i++)
        bad[i] = good_terms();
    bad[0].label = longer;
    bad[1].label = (char *)"a\nb";
    bad[2].want = 0;
    bad[3].chunk_size = 0;
    bad[4].chunk_size = UINT64_MAX / 2;
    bad[5].flags = 1u << 20;
    bad[6].min = 5;
    bad[7].filter = (char *)"\x1b[2J";
    bad[8].flags = TERM_GROWABLE | TERM_KEEP | TERM_RECALLABLE;
    bad[9].flags = TERM_KEEP | TERM_REVOCABLE;
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(read_terms(bad[i]), STATUS_INVALID);
        if (strncmp(why, words[i], strlen(words[i])) != 0)
            fail_msg("%zu: said: %s", i, why);
    }
    Granary__Allocate none = GRANARY__ALLOCATE__INIT;
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE, &none.base), STATUS_INVALID);
}

static int read_release(size_t n, uint32_t chunks)
{
    static Granary__Extent extents[EXTENTS_MAX + 1], *list[EXTENTS_MAX + 1];
    Granary__Release m = GRANARY__RELEASE__INIT;
    for (size_t i = 0; i < n; i++) {
        granary__extent__init(&extents[i]);
        extents[i].host = (uint32_t)i;
        extents[i].chunks = chunks;
        list[i] = &extents[i];
    }
    m.allocation = 3;
    m.recall = 9;
    m.n_extents = n;
    m.extents = list;
    return read_message(GRANARY__MESSAGE_TYPE__TYPE_RELEASE, &m.base);
}

static void test_extents(void **state)
{
    (void)state;
    assert_int_equal(read_release(2, 7), 0);
    assert_int_equal(event.release.id.v, 3);
    assert_int_equal(event.release.recall.v, 9);
    assert_int_equal(event.release.n, 2);
    assert_int_equal(event.release.extents[1].host.v, 1);
    assert_int_equal(event.release.extents[1].chunks, 7);
    assert_int_equal(read_release(EXTENTS_MAX, 1), 0);
    assert_int_equal(read_release(EXTENTS_MAX + 1, 1), STATUS_INVALID);
    assert_int_equal(read_release(1, 0), STATUS_INVALID);
    assert_int_equal(read_release(2, UINT32_MAX), STATUS_INVALID);
    assert_int_equal(read_release(1, UINT32_MAX), 0);
}

static void test_a_list_that_unpacks_large_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i + 2 <= sizeof body; i += 2) { /* empty extents: two bytes each here, some fifty unpacked */
        body[i] = 3 << 3 | 2;
        body[i + 1] = 0;
    }
    assert_int_equal(read_body(GRANARY__MESSAGE_TYPE__TYPE_RELEASE, sizeof body), STATUS_NO_MEMORY);
    assert_string_equal(why, "the lists in this RELEASE are too long");
}

static void test_malformed_bodies(void **state)
{
    (void)state;
    body[0] = 0xff;
    assert_int_equal(read_body(GRANARY__MESSAGE_TYPE__TYPE_WANT, 1), STATUS_PROTOCOL);
    assert_string_equal(why, "the body of this WANT is malformed");
    body[0] = 100 % 16 << 3; /* a field that is not in the schema */
    body[1] = 1;
    assert_int_equal(read_body(GRANARY__MESSAGE_TYPE__TYPE_GOODBYE, 2), STATUS_PROTOCOL);
    assert_int_equal(read_body(GRANARY__MESSAGE_TYPE__TYPE_CANCEL, 2), STATUS_PROTOCOL);
    assert_int_equal(read_body(9999, 0), STATUS_PROTOCOL);
    assert_int_equal(read_body(GRANARY__MESSAGE_TYPE__TYPE_CANCEL, 0), 0); /* every field at its default */
    assert_int_equal(event.kind, EVENT_CANCEL);
}

static void test_claims(void **state)
{
    (void)state;
    char command[300];
    memset(command, 'c', sizeof command);
    command[299] = '\0';
    command[2] = '\n';
    Granary__Claim m = GRANARY__CLAIM__INIT;
    m.allocation = 4;
    m.host = 2;
    m.chunks = 3;
    m.command = command;
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_CLAIM, &m.base), 0);
    assert_int_equal(event.claim.host.v, 2);
    assert_int_equal(strlen(event.claim.command), COMMAND_MAX - 1);
    assert_memory_equal(event.claim.command, "cc?c", 4);
    m.chunks = 0; /* while it waits: the core decides */
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_CLAIM, &m.base), 0);
    assert_int_equal(event.claim.chunks, 0);
}

static void test_offers(void **state)
{
    (void)state;
    Granary__OfferItem items[3], *list[3];
    for (size_t i = 0; i < 3; i++) {
        granary__offer_item__init(&items[i]);
        items[i].host = 1;
        items[i].free_in_ms = 100 * i;
        items[i].known = i < 2;
        list[i] = &items[i];
    }
    Granary__Offer m = GRANARY__OFFER__INIT;
    m.recall = 8;
    m.n_items = 3;
    m.items = list;
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_OFFER, &m.base), 0);
    assert_int_equal(event.offer.n, 3);
    assert_int_equal(event.offer.items[0].free_in, 0);
    assert_int_equal(event.offer.items[1].free_in, 100);
    assert_int_equal(event.offer.items[2].free_in, MS_NEVER);
}

static void test_hosts_by_name(void **state)
{
    (void)state;
    Granary__Drain m = GRANARY__DRAIN__INIT;
    m.host = (char *)"node1";
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_DRAIN, &m.base), 0);
    assert_int_equal(event.kind, EVENT_DRAIN);
    assert_int_equal(event.drain.host.v, 5);
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_UNDRAIN, &m.base), 0);
    assert_int_equal(event.kind, EVENT_UNDRAIN);
    m.host = (char *)"no\nde";
    assert_int_equal(read_message(GRANARY__MESSAGE_TYPE__TYPE_DRAIN, &m.base), STATUS_NOT_FOUND);
    assert_string_equal(why, "there is no host \"no?de\": `granary hosts` lists them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_bad_terms),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_a_list_that_unpacks_large_is_refused),
        cmocka_unit_test(test_malformed_bodies),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_hosts_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
