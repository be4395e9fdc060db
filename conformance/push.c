/* push.c - the verbs of scripts: what the broker tells, and what goes wrong on the way. */
#include "stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

void told_state_fill(told_state *t, const books *b)
{
    granary__allocation_state__init(&t->state);
    t->state.id = ALLOCATION;
    t->state.version = b->version;
    t->state.want = b->want;
    t->state.state = b->state == BOOKS_GONE ? 0 : (uint32_t)b->state;
    t->state.extents = t->pointers;
    for (uint32_t h = 0; h < HOSTS; h++) {
        if (b->held[h] == 0)
            continue;
        granary__extent__init(&t->extents[h]);
        t->extents[h].host = h;
        t->extents[h].chunks = b->held[h];
        t->pointers[t->state.n_extents++] = &t->extents[h];
    }
}

void stage_push(stage *s, uint16_t type, const ProtobufCMessage *message)
{
    if (s->welcomed)
        wire_send(&s->wire, type, ++s->wire.pushes, message);
}

uint32_t stage_running(const stage *s)
{
    uint32_t n = 0;
    for (uint32_t h = 0; h < HOSTS; h++)
        n += board_count(&s->board, h);
    return n;
}

void stage_end_task(stage *s, uint32_t host)
{
    unsigned at = s->board.n;
    for (unsigned i = 0; i < s->board.n; i++) {
        const task *t = &s->board.running[i];
        if (t->known && (host == ANY_HOST || t->host == host) &&
            (at == s->board.n || t->pid < s->board.running[at].pid))
            at = i; /* the oldest, as a rule */
    }
    if (at == s->board.n)
        return;
    uint32_t there = s->board.running[at].host;
    board_end(&s->board, at);
    books_end(&s->books, &s->board, there);
    stage_say(s, "task on host %u is told to end", there);
    stage_claims_ended(s);
}

void stage_end_all(stage *s)
{
    while (stage_running(s) > 0)
        stage_end_task(s, ANY_HOST);
}

/* ---- recalls ---- */

void stage_tell_recall(stage *s, recall *x, uint64_t notice_ms)
{
    Granary__Recall m = GRANARY__RECALL__INIT;
    m.recall = x->id;
    m.allocation = ALLOCATION;
    m.reason = REASON_SHOWN;
    m.count = x->count;
    m.any_host = x->host == ANY_HOST;
    m.host = m.any_host ? 0 : x->host;
    m.notice_ms = notice_ms;
    x->told++;
    stage_say(s, "recall %llu of %u on %s, told %u times", (unsigned long long)x->id, x->count,
              m.any_host ? "any host" : "its host", x->told);
    stage_push(s, TYPE(RECALL), &m.base);
}

recall *stage_recall(stage *s, uint32_t count, uint32_t host, uint64_t notice_ms, unsigned told)
{
    books *b = &s->books;
    if (b->n_recalls == RECALLS_MAX)
        return NULL;
    recall *x = &b->recalls[b->n_recalls++];
    *x = (recall){.id = ++b->next_recall + 100,
                  .count = count,
                  .host = host,
                  .known = NEVER_KNOWN,
                  .unwanted = NEVER_KNOWN,
                  .prefer_known = NEVER_KNOWN,
                  .overdue = notice_ms < 1000};
    while (x->told < told)
        stage_tell_recall(s, x, notice_ms);
    return x;
}

void stage_withdraw(stage *s, recall *x, bool told)
{
    Granary__Withdraw m = GRANARY__WITHDRAW__INIT;
    m.recall = x->id;
    m.allocation = ALLOCATION;
    x->withdrawn += recall_open(x);
    x->over = true;
    stage_say(s, "recall %llu is withdrawn%s", (unsigned long long)x->id, told ? "" : ", which is lost");
    if (!told)
        return;
    x->late_told = true;
    stage_push(s, TYPE(WITHDRAW), &m.base);
}

void stage_prefer(stage *s, recall *x, uint32_t host, uint32_t chunks)
{
    Granary__Prefer m = GRANARY__PREFER__INIT;
    Granary__Extent e = GRANARY__EXTENT__INIT, *extents[] = {&e};
    e.host = host;
    e.chunks = chunks;
    m.recall = x->id;
    m.allocation = ALLOCATION;
    m.extents = extents;
    m.n_extents = 1;
    if (host < HOSTS)
        x->prefer[host] = chunks;
    x->prefer_told = true;
    stage_push(s, TYPE(PREFER), &m.base);
}

void stage_ask(stage *s, uint64_t allocation, uint32_t count)
{
    Granary__Ask m = GRANARY__ASK__INIT;
    m.allocation = allocation;
    m.count = count;
    m.any_host = true;
    stage_push(s, TYPE(ASK), &m.base);
}

/* ---- states ---- */

void stage_tell_state(stage *s)
{
    told_state t;
    told_state_fill(&t, &s->books);
    s->books.told = s->books.version;
    stage_say(s, "version %llu: %u chunks", (unsigned long long)s->books.version, books_held(&s->books));
    stage_push(s, TYPE(CHANGED), &t.state.base);
}

void stage_grow(stage *s, uint32_t host, uint32_t chunks)
{
    if (s->books.state != BOOKS_WAITING && s->books.state != BOOKS_LIVE)
        return;
    s->books.state = BOOKS_LIVE;
    s->books.held[host] += chunks;
    s->books.version++;
    stage_tell_state(s);
}

void stage_tell_stale(stage *s, uint64_t version, uint32_t host, uint32_t chunks)
{
    books old = s->books;
    told_state t;
    old.version = version;
    old.held[host] = chunks;
    told_state_fill(&t, &old);
    s->books.stale_told = true;
    if (chunks > s->books.stale[host])
        s->books.stale[host] = chunks;
    stage_say(s, "an old state: version %llu, %u chunks on host %u", (unsigned long long)version, chunks, host);
    stage_push(s, TYPE(CHANGED), &t.state.base);
}

void stage_tell_ended(stage *s, int status)
{
    Granary__AllocationEnded m = GRANARY__ALLOCATION_ENDED__INIT;
    told_state t;
    memset(s->books.held, 0, sizeof s->books.held);
    s->books.state = BOOKS_GONE;
    s->books.version++;
    for (uint32_t i = 0; i < s->books.n_claims; i++)
        s->books.claims[i].open = false;
    told_state_fill(&t, &s->books);
    m.allocation = &t.state;
    m.status = status;
    s->books.ended_told = true;
    stage_push(s, TYPE(ENDED), &m.base);
}

void stage_end_if_empty(stage *s)
{
    books *b = &s->books;
    bool claims = false;
    for (uint32_t i = 0; i < b->n_claims; i++)
        claims |= b->claims[i].open;
    if ((b->state == BOOKS_LIVE || b->state == BOOKS_ENDING) && books_held(b) == 0 && b->want == 0) {
        b->state = BOOKS_ENDING;
        if (!claims && stage_running(s) == 0)
            stage_tell_ended(s, STATUS_ENDED);
    }
}

/* ---- the connection ---- */

void stage_send_answer(stage *s, request *q)
{
    q->answered_on = s->wire.serial;
    Granary__Reply *reply = granary__reply__unpack(NULL, q->answer_length, q->answer);
    if (!reply)
        return;
    wire_send(&s->wire, TYPE(REPLY), q->number, &reply->base);
    if (reply->allocation && reply->allocation->version > s->books.told)
        s->books.told = reply->allocation->version;
    if (q->pid > 0)
        books_ungate(&s->books, q->pid, reply->status < 0);
    granary__reply__free_unpacked(reply, NULL);
}

void stage_let_go(stage *s, bool reversed)
{
    s->withhold = 0;
    for (size_t i = 0; i < s->session.n; i++) {
        request *q = &s->session.requests[reversed ? s->session.n - 1 - i : i];
        if (q->answer && q->answered_on == 0 && q->arrived_on == s->wire.serial && s->welcomed)
            stage_send_answer(s, q);
    }
}

void stage_break(stage *s)
{
    wire_leave(&s->wire);
    wire_break(&s->wire);
    s->greeted = s->welcomed = false;
    s->broke = true;
}

void stage_return(stage *s)
{
    if (s->wire.listener < 0 && wire_listen(&s->wire, s->folder) < 0)
        s->stopped = true;
}

bool stage_reattach(stage *s)
{
    uint64_t hellos = s->hellos, by = stage_now() + s->options->wait_ms;
    if (s->wire.fd >= 0)
        stage_break(s);
    stage_return(s);
    while (s->hellos == hellos && stage_goes_on(s, by))
        stage_turn(s, 50);
    if (s->hellos != hellos)
        return stage_quiet(s);
    if (!s->subject.ended && s->setup.tasks > s->board.ended)
        report_broken(&s->report, RULE_REATTACH, "its connection broke and it does not come back");
    s->end = END_EITHER; /* it may give up */
    return false;
}

void stage_judge_resent(stage *s)
{
    if (s->welcomed && !s->forget)
        session_judge_resent(&s->session, s->wire.serial, &s->report);
}
