/* carry.c - each request carried out, as a broker whose agent obeys would. */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

static char refused_text[] = "the kit refuses: it is a test", waits_text[] = "no memory is free";

const ProtobufCMessageDescriptor *request_descriptor(uint16_t type)
{
    switch (type) {
    case GRANARY__MESSAGE_TYPE__TYPE_ALLOCATE:
    case GRANARY__MESSAGE_TYPE__TYPE_PLAN:
        return &granary__allocate__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_CANCEL:
        return &granary__cancel__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_WANT:
        return &granary__want__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_RELEASE:
        return &granary__release__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_RELEASE_N:
        return &granary__release_n__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_OFFER:
        return &granary__offer__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_CLAIM:
        return &granary__claim__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_ENTER:
        return &granary__enter__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_SHRINK:
        return &granary__shrink__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_CLOSE:
        return &granary__close__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_TRANSFER:
        return &granary__transfer__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_RECALL_OUTCOME:
        return &granary__recall_outcome__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_DRAIN:
    case GRANARY__MESSAGE_TYPE__TYPE_UNDRAIN:
        return &granary__drain__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_RELEASE_FOREIGN:
        return &granary__release_foreign__descriptor;
    case GRANARY__MESSAGE_TYPE__TYPE_EMPTY:
        return &granary__empty__descriptor;
    default:
        return NULL;
    }
}

/* ---- the allocation ---- */

static void judge_terms(stage *s, const Granary__Terms *t)
{
    const setup *w = &s->setup;
    if (t->chunk_size != CHUNK || t->want != w->want || t->min != w->min || strcmp(t->label, LABEL) != 0)
        report_broken(&s->report, RULE_TERMS,
                      "it asked for '%s', %u of %llu bytes, min %u; told was '%s', %u of %u, min %u", t->label, t->want,
                      (unsigned long long)t->chunk_size, t->min, LABEL, w->want, CHUNK, w->min);
}

/* What is asked is what counts, also when it is not what it was told to ask for. */
static void grant(stage *s, const Granary__Terms *t)
{
    books *b = &s->books;
    uint32_t left = t ? t->want : 0;
    b->version = 1;
    b->want = left;
    b->min = t ? t->min : 0;
    for (uint32_t h = 0; h < HOSTS; h++) {
        b->held[h] = s->setup.grant[h] < left ? s->setup.grant[h] : left;
        left -= b->held[h];
    }
    b->state = books_held(b) > 0 ? BOOKS_LIVE : BOOKS_WAITING;
}

static void on_allocate(stage *s, request *q, const Granary__Allocate *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    books *b = &s->books;
    s->allocates++;
    if (m->terms)
        judge_terms(s, m->terms);
    if (b->state != BOOKS_NONE) {
        report_broken(&s->report, RULE_TERMS, "it asked for a second allocation");
        reply.status = STATUS_LIMIT;
    } else if (s->refuse_status != 0) {
        b->state = BOOKS_GONE;
        reply.status = s->refuse_status;
        reply.text = refused_text;
        reply.most = CHUNK;
    } else {
        grant(s, m->terms);
        reply.status = b->state == BOOKS_LIVE ? 0 : STATUS_WAITING;
        reply.place = b->state == BOOKS_LIVE ? 0 : 1;
        if (b->state == BOOKS_WAITING)
            reply.reason = waits_text;
    }
    stage_answer(s, q, &reply);
}

/* 0, or the status of a request about an allocation that is not the client's. */
static int check_allocation(stage *s, uint64_t id)
{
    const books *b = &s->books;
    if (id == ALLOCATION && b->state != BOOKS_NONE)
        return b->state == BOOKS_GONE ? STATUS_NOT_FOUND : 0; /* its end may not have been read yet */
    report_broken(&s->report, s->hellos > 1 && s->forget ? RULE_SESSION_OVER : RULE_ALLOCATION,
                  "a request names allocation %llu, which this session was not given", (unsigned long long)id);
    return STATUS_NOT_FOUND;
}

static void on_release(stage *s, request *q, const Granary__Release *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    uint32_t give[HOSTS] = {0};
    s->releases++;
    reply.status = check_allocation(s, m->allocation);
    if (reply.status == 0 && s->books.state == BOOKS_WAITING)
        reply.status = STATUS_STATE;
    for (size_t i = 0; reply.status == 0 && i < m->n_extents; i++) {
        if (m->extents[i]->host < HOSTS) {
            give[m->extents[i]->host] += m->extents[i]->chunks;
            continue;
        }
        report_broken(&s->report, RULE_RELEASE_HELD, "a release names host %u, where nothing is held",
                      m->extents[i]->host);
        reply.status = STATUS_NOT_FOUND;
    }
    if (reply.status == 0 && s->release_status != 0)
        reply.status = s->release_status;
    if (reply.status == 0 && m->n_extents == 0)
        memcpy(give, s->books.held, sizeof give);
    if (reply.status == 0)
        reply.status = books_release(&s->books, &s->board, m->recall, give, &s->report);
    stage_say(s, "release for recall %llu: %u chunks are held now", (unsigned long long)m->recall,
              books_held(&s->books));
    stage_answer(s, q, &reply);
    stage_end_if_empty(s);
}

/* Way 1: idle chunks first, then the host with fewest, then the lowest. */
static void on_release_n(stage *s, request *q, const Granary__ReleaseN *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    Granary__Extent given[HOSTS], *pointers[HOSTS];
    uint32_t give[HOSTS] = {0}, busy[HOSTS] = {0}, left = m->count;
    s->releases++;
    reply.status = check_allocation(s, m->allocation);
    for (size_t i = 0; i < m->n_busy; i++)
        if (m->busy[i]->host < HOSTS)
            busy[m->busy[i]->host] += m->busy[i]->chunks;
    for (uint32_t h = HOSTS; reply.status == 0 && h-- > 0 && left > 0;) {
        uint32_t idle = s->books.held[h] > busy[h] ? s->books.held[h] - busy[h] : 0;
        give[h] = idle < left ? idle : left;
        left -= give[h];
    }
    if (reply.status == 0 && left == m->count)
        reply.status = STATUS_STATE;
    if (reply.status == 0)
        reply.status = books_release(&s->books, &s->board, m->recall, give, &s->report);
    for (uint32_t h = 0; reply.status == 0 && h < HOSTS; h++) {
        if (give[h] == 0)
            continue;
        granary__extent__init(&given[h]);
        given[h].host = h;
        given[h].chunks = give[h];
        pointers[reply.n_extents++] = &given[h];
    }
    reply.extents = pointers;
    reply.chunks = m->count - left;
    stage_answer(s, q, &reply);
    stage_end_if_empty(s);
}

static void on_offer(stage *s, request *q, const Granary__Offer *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    recall *x = m->recall ? books_recall(&s->books, m->recall) : NULL;
    s->offers++;
    reply.status = check_allocation(s, m->allocation);
    if (reply.status == 0)
        books_offer(&s->books, &s->board, m, &s->report);
    if (m->recall != 0 && (!x || x->told == 0))
        report_broken(&s->report, RULE_RECALL_UNKNOWN, "an offer for recall %llu, which was never told",
                      (unsigned long long)m->recall);
    if (reply.status == 0 && m->recall != 0 && (!x || recall_open(x) == 0)) {
        reply.status = 2; /* OFFER_NONE: nothing is wanted back any more */
        if (x)
            x->late_told = true;
    }
    stage_answer(s, q, &reply);
}

static void on_want(stage *s, request *q, const Granary__Want *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    reply.status = check_allocation(s, m->allocation);
    if (reply.status == 0) {
        s->books.want = m->want;
        s->books.version++;
    }
    stage_answer(s, q, &reply);
    stage_end_if_empty(s);
}

static void on_cancel(stage *s, request *q, const Granary__Cancel *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    reply.status = check_allocation(s, m->allocation);
    bool waits = reply.status == 0 && s->books.state == BOOKS_WAITING;
    if (reply.status == 0 && !waits)
        reply.status = STATUS_STATE;
    if (waits)
        s->books.state = BOOKS_GONE;
    stage_answer(s, q, &reply);
    if (waits)
        stage_tell_ended(s, STATUS_ENDED);
}

/* ---- claims ---- */

/* The process that a pidfd names; 0: it is none, or has ended. */
static pid_t pid_of(int pidfd)
{
    char path[64], line[128];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    FILE *f = pidfd >= 0 ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    if (f)
        fclose(f);
    return pid > 0 ? pid : 0;
}

static void enter(stage *s, request *q, claim *c, int fd)
{
    books *b = &s->books;
    q->pid = pid_of(fd);
    if (c) {
        c->pid = q->pid;
        c->entered = b->now;
    }
    if (q->pid > 0 && b->n_gated < CLAIMS_MAX)
        b->gated[b->n_gated++] = q->pid;
}

static void on_claim(stage *s, request *q, const Granary__Claim *m, int fd)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    books *b = &s->books;
    claim *c = NULL;
    s->claims_seen++;
    reply.status = check_allocation(s, m->allocation);
    uint32_t room = m->host < HOSTS ? b->held[m->host] + b->returning[m->host] : 0;
    uint32_t claimed = books_claimed(b, m->host);
    if (reply.status == 0 && (b->state == BOOKS_LIVE ? claimed + m->chunks > room : m->chunks > 0)) {
        report_broken(&s->report, RULE_CLAIM_HELD,
                      "a claim of %u chunks on host %u, of which %u are held and %u claimed", m->chunks, m->host, room,
                      claimed);
        reply.status = STATUS_STATE;
    }
    if (reply.status == 0 && s->claim_status != 0) {
        reply.status = s->claim_status;
        reply.text = refused_text;
    }
    if (reply.status == 0 && b->n_claims < CLAIMS_MAX) {
        c = &b->claims[b->n_claims++];
        *c = (claim){.id = ++b->next_claim + 1000, .host = m->host, .chunks = m->chunks, .open = true};
        reply.claim = c->id;
    }
    enter(s, q, c, fd);
    stage_answer(s, q, &reply);
}

static claim *claim_open(stage *s, uint64_t id, int *ret_status)
{
    claim *c = books_claim(&s->books, id);
    if (!c)
        report_broken(&s->report, s->hellos > 1 && s->forget ? RULE_SESSION_OVER : RULE_ALLOCATION,
                      "a request names claim %llu, which this session was not given", (unsigned long long)id);
    *ret_status = !c ? STATUS_NOT_FOUND : c->open ? 0 : STATUS_ENDED;
    return *ret_status == 0 ? c : NULL;
}

static void on_enter(stage *s, request *q, const Granary__Enter *m, int fd)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    claim *c = claim_open(s, m->claim, &reply.status);
    if (c && s->claim_status != 0)
        reply.status = s->claim_status;
    reply.peak = 4096;
    enter(s, q, c, fd);
    stage_answer(s, q, &reply);
}

/* What `fresh`, EMPTY and CLOSE with kill end. */
static void judge_kill(stage *s, const claim *c, const char *by)
{
    if (c && c->pid > 0 && board_find(&s->board, c->pid))
        report_broken(&s->report, RULE_TASK_KILLED, "%s of claim %llu would end the running task of pid %d", by,
                      (unsigned long long)c->id, (int)c->pid);
}

static void on_empty(stage *s, request *q, const Granary__Empty *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    claim *c = claim_open(s, m->claim, &reply.status);
    judge_kill(s, c, "EMPTY");
    reply.peak = 4096;
    stage_answer(s, q, &reply);
}

static void close_now(stage *s, claim *c, request *q)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    c->open = false;
    c->closing = 0;
    reply.peak = 4096;
    stage_answer(s, q, &reply);
}

void stage_claims_ended(stage *s)
{
    books *b = &s->books;
    for (uint32_t i = 0; i < b->n_claims; i++) {
        claim *c = &b->claims[i];
        request *q = c->closing ? session_find(&s->session, c->closing) : NULL;
        if (c->open && q && !board_find(&s->board, c->pid))
            close_now(s, c, q);
    }
    stage_end_if_empty(s);
}

static void on_close(stage *s, request *q, const Granary__Close *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    claim *c = claim_open(s, m->claim, &reply.status);
    if (!c) {
        stage_answer(s, q, &reply);
        return;
    }
    if (m->kill)
        judge_kill(s, c, "CLOSE");
    if (m->kill || !board_find(&s->board, c->pid)) {
        close_now(s, c, q);
        stage_end_if_empty(s);
    } else {
        q->deferred = true;
        c->closing = q->number;
    }
}

static void on_shrink(stage *s, request *q, const Granary__Shrink *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    claim *c = claim_open(s, m->claim, &reply.status);
    if (c && m->chunks > c->chunks &&
        books_claimed(&s->books, c->host) - c->chunks + m->chunks >
            s->books.held[c->host] + s->books.returning[c->host])
        reply.status = STATUS_STATE;
    if (c && reply.status == 0)
        c->chunks = m->chunks;
    stage_answer(s, q, &reply);
}

static void on_outcome(stage *s, request *q, const Granary__RecallOutcome *m)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
    Granary__RecallInfo info = GRANARY__RECALL_INFO__INIT;
    const recall *x = books_recall(&s->books, m->recall);
    reply.status = x ? 0 : STATUS_NOT_FOUND;
    if (x) {
        info.id = x->id;
        info.allocation = ALLOCATION;
        info.asked = x->count;
        info.released = x->released + x->counted;
        info.withdrawn = x->withdrawn;
        reply.outcome = &info;
    }
    stage_answer(s, q, &reply);
}

void stage_carry_out(stage *s, request *q, const ProtobufCMessage *m, int fd)
{
    Granary__Reply reply = GRANARY__REPLY__INIT;
#define CASE(name, call)                                                                                               \
    case GRANARY__MESSAGE_TYPE__TYPE_##name:                                                                           \
        call;                                                                                                          \
        return
    switch (q->type) {
        CASE(ALLOCATE, on_allocate(s, q, (const Granary__Allocate *)m));
        CASE(CANCEL, on_cancel(s, q, (const Granary__Cancel *)m));
        CASE(WANT, on_want(s, q, (const Granary__Want *)m));
        CASE(RELEASE, on_release(s, q, (const Granary__Release *)m));
        CASE(RELEASE_N, on_release_n(s, q, (const Granary__ReleaseN *)m));
        CASE(OFFER, on_offer(s, q, (const Granary__Offer *)m));
        CASE(CLAIM, on_claim(s, q, (const Granary__Claim *)m, fd));
        CASE(ENTER, on_enter(s, q, (const Granary__Enter *)m, fd));
        CASE(EMPTY, on_empty(s, q, (const Granary__Empty *)m));
        CASE(CLOSE, on_close(s, q, (const Granary__Close *)m));
        CASE(SHRINK, on_shrink(s, q, (const Granary__Shrink *)m));
        CASE(RECALL_OUTCOME, on_outcome(s, q, (const Granary__RecallOutcome *)m));
    default: /* nobody else's memory is here */
        reply.status = STATUS_DENIED;
        stage_answer(s, q, &reply);
    }
#undef CASE
}
