/* requests.c - the part of the language that clients speak; see commands.c. */
#include "requests.h"

#include <string.h>

#include "base/text.h"

static const struct {
    const char *word;
    uint32_t flag;
} terms_words[] = {
    {"contiguous", TERM_CONTIGUOUS},
    {"one_host", TERM_ONE_HOST},
    {"core_dependent", TERM_CORE_DEPENDENT},
    {"long_running", TERM_LONG_RUNNING},
    {"shrinkable", TERM_SHRINKABLE},
    {"growable", TERM_GROWABLE},
    {"recallable", TERM_RECALLABLE},
    {"revocable", TERM_REVOCABLE},
    {"no_wait", TERM_NO_WAIT},
    {"stay", TERM_STAY},
};

host_id line_host(world *w, words *line)
{
    host_view host;
    const char *name = words_take(line);
    if (view_host_by_name(w->core, name, &host) < 0)
        words_fail(line, "no host \"%s\"", name);
    return host.id;
}

trace_session *line_session(world *w, words *line)
{
    const char *name = words_take(line);
    trace_session *s = world_session(w, name);
    if (!s)
        words_fail(line, "no session \"%s\"", name);
    return s;
}

trace_allocation *line_allocation(world *w, words *line)
{
    const char *name = words_take(line);
    trace_allocation *a = world_allocation(w, name);
    if (!a)
        words_fail(line, "no allocation \"%s\"", name);
    return a;
}

generation line_claim(words *line)
{
    return (generation){words_number_after(line, 'g')};
}

static recall_id line_recall(words *line)
{
    return words_skip(line, "for") ? (recall_id){words_number_after(line, 'r')} : (recall_id){0};
}

/* Sends a request of session `owner`, or of the one that the line names after "by". */
static void request(world *w, words *line, core_event *e, uint64_t owner)
{
    trace_session *s = words_skip(line, "by") ? line_session(w, line) : world_session_by_id(w, owner);
    if (!s)
        words_fail(line, "it has no owner: say by whom");
    e->request.session.v = s->session_name.id;
    e->request.acked.v = s->last_number; /* a client that waits for each answer */
    e->request.number.v = ++s->last_number;
    w->again = *e;
    world_step(w, e);
}

void do_again(world *w, words *line)
{
    if (w->again.kind == 0)
        words_fail(line, "nothing to repeat");
    world_step(w, &w->again);
}

/* `notice`: what the daemon fills in where the request says none. */
static void take_terms(words *line, ms_t notice, allocation_terms *t)
{
    t->want = t->min = (chunks_t)words_number(line);
    words_want(line, "x");
    t->chunk_size = words_size(line);
    if (words_skip(line, "min"))
        t->min = (chunks_t)words_number(line);
    for (size_t i = 0; i < sizeof terms_words / sizeof *terms_words; i++)
        if (words_skip(line, terms_words[i].word)) {
            t->flags |= terms_words[i].flag;
            i = SIZE_MAX; /* in any order: from the start again */
        }
    if (words_skip(line, "priority"))
        t->priority = (int32_t)words_number(line);
    t->notice_ms = words_skip(line, "notice") ? words_span(line) : notice;
    t->wait_ms = words_skip(line, "wait") ? words_span(line) : MS_NEVER;
    if (words_skip(line, "filter"))
        text_copy(t->filter, sizeof t->filter, words_take(line));
}

void do_alloc(world *w, words *line)
{
    core_event e = {.kind = EVENT_ALLOCATE};
    const char *name = words_take(line);
    uint64_t owner = line_session(w, line)->session_name.id;
    text_copy(e.allocate.terms.label, sizeof e.allocate.terms.label, name);
    take_terms(line, w->timers.notice_ms, &e.allocate.terms);
    world_bind_allocation(w, name, owner);
    request(w, line, &e, owner);
}

void do_plan(world *w, words *line)
{
    core_event e = {.kind = EVENT_ALLOCATE, .allocate = {.dry_run = true}};
    uint64_t owner = line_session(w, line)->session_name.id;
    take_terms(line, w->timers.notice_ms, &e.allocate.terms);
    request(w, line, &e, owner);
}

void do_cancel(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_CANCEL, .cancel = {.id = {a->allocation_name.id}}};
    request(w, line, &e, a->owner);
}

void do_want(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_WANT, .want = {.id = {a->allocation_name.id}}};
    e.want.want = (chunks_t)words_number(line);
    request(w, line, &e, a->owner);
}

static uint32_t take_extents(world *w, words *line)
{
    host_view host;
    uint32_t n = 0;
    while (words_more(line) && view_host_by_name(w->core, line->items[line->at], &host) == 0) {
        w->extents[n].host = line_host(w, line);
        w->extents[n++].chunks = (chunks_t)words_number(line);
    }
    return n;
}

void do_release(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_RELEASE, .release = {.id = {a->allocation_name.id}, .extents = w->extents}};
    e.release.n = take_extents(w, line);
    e.release.recall = line_recall(line);
    request(w, line, &e, a->owner);
}

void do_release_n(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_RELEASE_N, .release_n = {.id = {a->allocation_name.id}, .busy = w->extents}};
    e.release_n.count = (chunks_t)words_number(line);
    e.release_n.n = words_skip(line, "busy") ? take_extents(w, line) : 0;
    e.release_n.recall = line_recall(line);
    request(w, line, &e, a->owner);
}

void do_offer(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_OFFER, .offer = {.id = {a->allocation_name.id}, .items = w->items}};
    e.offer.recall = line_recall(line);
    while (words_more(line) && strcmp(line->items[line->at], "by") != 0 && e.offer.n < OFFER_MAX) {
        offer_item *item = &w->items[e.offer.n++];
        item->host = line_host(w, line);
        item->free_in = words_skip(line, "unknown") ? MS_NEVER : words_span(line);
    }
    request(w, line, &e, a->owner);
}

void do_claim(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    core_event e = {.kind = EVENT_CLAIM, .claim = {.id = {a->allocation_name.id}}};
    e.claim.host = line_host(w, line);
    e.claim.chunks = (chunks_t)words_number(line);
    e.claim.handle = words_skip(line, "pid") ? ++w->handles : 0;
    text_copy(e.claim.command, sizeof e.claim.command, "task");
    request(w, line, &e, a->owner);
}

/* Requests about a claim; the allocation names who asks. */
void do_enter(world *w, words *line)
{
    core_event e = {.kind = EVENT_ENTER, .enter = {.gen = line_claim(line), .handle = ++w->handles}};
    trace_allocation *a = line_allocation(w, line);
    e.enter.fresh = words_skip(line, "fresh");
    request(w, line, &e, a->owner);
}

void do_empty(world *w, words *line)
{
    core_event e = {.kind = EVENT_EMPTY, .empty = {.gen = line_claim(line)}};
    request(w, line, &e, line_allocation(w, line)->owner);
}

void do_shrink(world *w, words *line)
{
    core_event e = {.kind = EVENT_SHRINK, .shrink = {.gen = line_claim(line)}};
    trace_allocation *a = line_allocation(w, line);
    e.shrink.chunks = (chunks_t)words_number(line);
    request(w, line, &e, a->owner);
}

void do_close(world *w, words *line)
{
    core_event e = {.kind = EVENT_CLOSE, .close = {.gen = line_claim(line)}};
    trace_allocation *a = line_allocation(w, line);
    e.close.kill = words_skip(line, "kill");
    request(w, line, &e, a->owner);
}

void do_transfer(world *w, words *line)
{
    trace_allocation *a = line_allocation(w, line);
    uint64_t owner = a->owner, to = line_session(w, line)->session_name.id;
    core_event e = {.kind = EVENT_TRANSFER, .transfer = {.id = {a->allocation_name.id}, .to = {to}}};
    a->owner = to;
    request(w, line, &e, owner);
}

void do_outcome(world *w, words *line)
{
    uint64_t session = line_session(w, line)->session_name.id;
    core_event e = {.kind = EVENT_RECALL_OUTCOME, .outcome = {.id = {words_number_after(line, 'r')}}};
    request(w, line, &e, session);
}

void do_drain(world *w, words *line)
{
    uint64_t session = line_session(w, line)->session_name.id;
    core_event e = {.kind = EVENT_DRAIN, .drain = {.host = line_host(w, line)}};
    request(w, line, &e, session);
}

void do_undrain(world *w, words *line)
{
    uint64_t session = line_session(w, line)->session_name.id;
    core_event e = {.kind = EVENT_UNDRAIN, .drain = {.host = line_host(w, line)}};
    request(w, line, &e, session);
}

void do_release_foreign(world *w, words *line)
{
    uint64_t session = line_session(w, line)->session_name.id;
    core_event e = {.kind = EVENT_RELEASE_FOREIGN};
    e.release_foreign.id.v = line_allocation(w, line)->allocation_name.id;
    e.release_foreign.count = (chunks_t)words_number(line);
    request(w, line, &e, session);
}
