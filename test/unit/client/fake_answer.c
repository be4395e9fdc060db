/* fake_answer.c - what the fake broker answers to each request. */
#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/status.h"
#include "fake_inside.h"

static char as_said[] = "as the test said", here[] = "here", there[] = "there", no_memory[] = "no memory is free",
            fake_name[] = "fake";

typedef struct {
    Granary__Reply reply;
    Granary__AllocationState state;
    Granary__Extent extent, *pointers[1];
} answer;

static void answer_send(fake_broker *f, const frame *in, answer *a)
{
    if (f->allocation) {
        fake_state_fill(f, &a->state, &a->extent, a->pointers);
        a->reply.allocation = &a->state;
    }
    if (f->fail_type == in->header.type && f->fail_status != 0) {
        a->reply.status = f->fail_status;
        a->reply.text = as_said;
        f->fail_status = 0;
    }
    fake_send(f, TYPE(REPLY), in->header.number, &a->reply);
}

static void on_hello(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Hello *m = granary__hello__unpack(NULL, in->header.length, in->body);
    Granary__Welcome w = GRANARY__WELCOME__INIT;
    Granary__HostInfo h = GRANARY__HOST_INFO__INIT, *hosts[] = {&h};
    Granary__AllocationState s, *states[] = {&s};
    Granary__Extent e, *p[1];
    Granary__RecallInfo recalls[8], *recall_pointers[8];
    Granary__ClaimInfo claims[CLAIMS], *claim_pointers[CLAIMS];
    static uint8_t token[16] = "sixteen bytes..";
    assert(m);
    snprintf(text, sizeof text, "HELLO %llu", (unsigned long long)m->session);
    fake_line(f, text);
    if (f->slams > 0) {
        f->slams--;
        shutdown(channel_fd(f->channel), SHUT_RDWR); /* its end is read as anybody's */
        granary__hello__free_unpacked(m, NULL);
        return;
    }
    w.version = 1;
    w.session = 7;
    w.token.data = token;
    w.token.len = sizeof token;
    w.reattached = m->session == 7 && !f->forget;
    w.local_host = here;
    w.broker = fake_name;
    h.id = FAKE_HOST;
    h.name = here;
    w.hosts = hosts;
    w.n_hosts = 1;
    if (w.reattached && f->allocation) {
        fake_state_fill(f, &s, &e, p);
        w.allocations = states;
        w.n_allocations = 1;
        for (uint32_t i = 0; i < f->n_recalls; i++) {
            granary__recall_info__init(&recalls[i]);
            recalls[i].id = f->recalls[i].id;
            recalls[i].allocation = f->allocation;
            recalls[i].asked = f->recalls[i].open;
            recalls[i].any_host = true;
            recalls[i].deadline_ms = 10000;
            recall_pointers[i] = &recalls[i];
        }
        w.recalls = recall_pointers;
        w.n_recalls = f->n_recalls;
        for (uint32_t i = 0; i < f->n_claims; i++) {
            granary__claim_info__init(&claims[i]);
            claims[i].id = f->claims[i];
            claims[i].allocation = f->allocation;
            claims[i].chunks = f->claim_chunks[i];
            claim_pointers[i] = &claims[i];
        }
        w.claims = claim_pointers;
        w.n_claims = f->n_claims;
    }
    fake_send(f, TYPE(WELCOME), 0, &w);
    channel_set_state(f->channel, PEER_CLIENT);
    granary__hello__free_unpacked(m, NULL);
}

static void on_allocate(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Allocate *m = granary__allocate__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m && m->terms);
    snprintf(text, sizeof text, "ALLOCATE %s %llu want %u min %u flags %x", m->terms->label,
             (unsigned long long)m->terms->chunk_size, m->terms->want, m->terms->min, m->terms->flags);
    fake_line(f, text);
    if (m->terms->min > 100) {
        a.reply.status = STATUS_NEVER;
        a.reply.most = 100 * m->terms->chunk_size;
    } else {
        f->allocation = 11;
        f->version = 1;
        f->want = m->terms->want;
        f->min = m->terms->min;
        f->held = f->want < f->capacity ? f->want : f->capacity;
        if (f->held < f->min) {
            f->held = 0;
            a.reply.status = STATUS_WAITING;
            a.reply.place = 1;
            a.reply.reason = no_memory;
        }
    }
    answer_send(f, in, &a);
    granary__allocate__free_unpacked(m, NULL);
}

static void on_release(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Release *m = granary__release__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    uint32_t n = f->held;
    assert(m);
    if (m->n_extents > 0)
        n = m->extents[0]->chunks;
    snprintf(text, sizeof text, "RELEASE %llu recall %llu %u:%u", (unsigned long long)m->allocation,
             (unsigned long long)m->recall, m->n_extents ? m->extents[0]->host : 0, n);
    fake_line(f, text);
    if (n > f->held) {
        a.reply.status = STATUS_STATE;
    } else if (!(f->fail_type == TYPE(RELEASE) && f->fail_status)) {
        f->held -= n;
        f->version++;
        if (m->recall)
            fake_recall_answered(f, m->recall, n);
        else
            f->want = f->want > n ? f->want - n : 0;
        f->capacity -= n < f->capacity ? n : f->capacity; /* somebody else has it now */
    }
    answer_send(f, in, &a);
    granary__release__free_unpacked(m, NULL);
}

static void on_claim(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Claim *m = granary__claim__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m && f->n_claims < CLAIMS);
    snprintf(text, sizeof text, "CLAIM %llu %u:%u %s", (unsigned long long)m->allocation, m->host, m->chunks,
             in->fd >= 0 ? "fd" : "no fd");
    fake_line(f, text);
    if (!(f->fail_type == TYPE(CLAIM) && f->fail_status)) {
        a.reply.claim = ++f->next_claim;
        f->claim_chunks[f->n_claims] = m->chunks;
        f->claims[f->n_claims++] = a.reply.claim;
    }
    answer_send(f, in, &a);
    granary__claim__free_unpacked(m, NULL);
}

static void claim_close(fake_broker *f, const frame *in, uint64_t claim)
{
    answer a = {.reply = GRANARY__REPLY__INIT};
    Granary__ClaimEnded ended = GRANARY__CLAIM_ENDED__INIT;
    uint32_t at = 0;
    while (at < f->n_claims && f->claims[at] != claim)
        at++;
    if (at == f->n_claims) {
        a.reply.status = STATUS_ENDED;
    } else {
        f->n_claims--;
        f->claims[at] = f->claims[f->n_claims];
        f->claim_chunks[at] = f->claim_chunks[f->n_claims];
        a.reply.peak = ended.peak = 5000;
    }
    answer_send(f, in, &a);
    ended.claim = claim;
    ended.allocation = f->allocation;
    if (a.reply.status == 0)
        fake_send(f, TYPE(CLAIM_ENDED), 0, &ended);
}

static void on_claim_request(fake_broker *f, const frame *in)
{
    char text[96];
    answer a = {.reply = GRANARY__REPLY__INIT};
    a.reply.peak = 4096;
    if (in->header.type == TYPE(ENTER)) {
        Granary__Enter *m = granary__enter__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "ENTER %llu%s %s", (unsigned long long)m->claim, m->fresh ? " fresh" : "",
                 in->fd >= 0 ? "fd" : "no fd");
        fake_line(f, text);
        granary__enter__free_unpacked(m, NULL);
    } else if (in->header.type == TYPE(EMPTY)) {
        Granary__Empty *m = granary__empty__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "EMPTY %llu", (unsigned long long)m->claim);
        fake_line(f, text);
        granary__empty__free_unpacked(m, NULL);
    } else if (in->header.type == TYPE(SHRINK)) {
        Granary__Shrink *m = granary__shrink__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "SHRINK %llu %u", (unsigned long long)m->claim, m->chunks);
        fake_line(f, text);
        granary__shrink__free_unpacked(m, NULL);
    } else {
        Granary__Close *m = granary__close__unpack(NULL, in->header.length, in->body);
        snprintf(text, sizeof text, "CLOSE %llu%s", (unsigned long long)m->claim, m->kill ? " kill" : "");
        fake_line(f, text);
        claim_close(f, in, m->claim);
        granary__close__free_unpacked(m, NULL);
        return;
    }
    answer_send(f, in, &a);
}

static void on_offer(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Offer *m = granary__offer__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    size_t idle = 0;
    assert(m);
    for (size_t i = 0; i < m->n_items; i++)
        idle += m->items[i]->known && m->items[i]->free_in_ms == 0;
    snprintf(text, sizeof text, "OFFER recall %llu items %zu idle %zu", (unsigned long long)m->recall, m->n_items,
             idle);
    fake_line(f, text);
    answer_send(f, in, &a);
    granary__offer__free_unpacked(m, NULL);
}

static void on_want(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Want *m = granary__want__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m);
    snprintf(text, sizeof text, "WANT %u", m->want);
    fake_line(f, text);
    f->want = m->want;
    f->version++;
    answer_send(f, in, &a);
    granary__want__free_unpacked(m, NULL);
    fake_grow(f);
}

static void on_transfer(fake_broker *f, const frame *in)
{
    char text[96];
    Granary__Transfer *m = granary__transfer__unpack(NULL, in->header.length, in->body);
    answer a = {.reply = GRANARY__REPLY__INIT};
    assert(m);
    snprintf(text, sizeof text, "TRANSFER %llu to %llu", (unsigned long long)m->allocation,
             (unsigned long long)m->session);
    fake_line(f, text);
    answer_send(f, in, &a);
    granary__transfer__free_unpacked(m, NULL);
}

static void on_query(fake_broker *f, const frame *in)
{
    Granary__QueryReply reply = GRANARY__QUERY_REPLY__INIT;
    Granary__HostInfo h = GRANARY__HOST_INFO__INIT, other = h, *hosts[] = {&h, &other};
    h.id = FAKE_HOST;
    h.name = here;
    other.id = FAKE_HOST + 1; /* came after the welcome */
    other.name = there;
    reply.hosts = hosts;
    reply.n_hosts = 2;
    fake_line(f, "QUERY");
    fake_send(f, TYPE(QUERY_REPLY), in->header.number, &reply);
}

void fake_answer(fake_broker *f, const frame *in)
{
    answer a = {.reply = GRANARY__REPLY__INIT};
    switch (in->header.type) {
    case TYPE(HELLO):
        on_hello(f, in);
        break;
    case TYPE(ALLOCATE):
        on_allocate(f, in);
        break;
    case TYPE(RELEASE):
        on_release(f, in);
        break;
    case TYPE(CLAIM):
        on_claim(f, in);
        break;
    case TYPE(ENTER):
    case TYPE(EMPTY):
    case TYPE(SHRINK):
    case TYPE(CLOSE):
        on_claim_request(f, in);
        break;
    case TYPE(OFFER):
        on_offer(f, in);
        break;
    case TYPE(WANT):
        on_want(f, in);
        break;
    case TYPE(TRANSFER):
        on_transfer(f, in);
        break;
    case TYPE(QUERY):
        on_query(f, in);
        break;
    case TYPE(GOODBYE):
        fake_line(f, "GOODBYE");
        break;
    default:
        fake_line(f, frame_type_name(in->header.type));
        answer_send(f, in, &a);
        break;
    }
}
