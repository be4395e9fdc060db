#include "daemon/query.h"

#include <string.h>

#include "base/status.h"
#include "daemon/broker.h"
#include "daemon/info.h"

#define PART_BYTES ((size_t)256 << 10) /* a part is sent when it holds so much: far below a frame */
#define PART_ITEMS 1024u               /* of one kind in a part */

/* The part that is being filled. */
typedef struct {
    broker *broker;
    peer *peer;
    uint64_t number;
    size_t mark, bytes;
    Granary__QueryReply m;
    Granary__HostInfo *hosts[PART_ITEMS];
    Granary__AllocationInfo *allocations[PART_ITEMS];
    Granary__ClaimInfo *claims[PART_ITEMS];
    Granary__WaiterInfo *queue[PART_ITEMS];
    Granary__RecallInfo *recalls[PART_ITEMS];
    Granary__LogLine *log[PART_ITEMS];
} part;

static void part_begin(part *p)
{
    totals_view totals;
    view_totals(p->broker->driver.core, &totals);
    granary__query_reply__init(&p->m);
    p->m.hosts = p->hosts;
    p->m.allocations = p->allocations;
    p->m.claims = p->claims;
    p->m.queue = p->queue;
    p->m.recalls = p->recalls;
    p->m.log = p->log;
    p->m.sequence = core_sequence(p->broker->driver.core);
    p->m.sessions = totals.sessions;
    p->mark = p->broker->scratch.used;
    p->m.broker = info_broker(p->broker);
    p->m.broker_id = p->broker->store->meta.broker_id;
    p->bytes = 0;
}

static void part_send(part *p, bool more)
{
    p->m.more = more;
    if (p->broker->scratch.full)
        peer_refuse(p->peer, STATUS_NO_MEMORY, "the broker has no room for this answer: ask again later");
    else
        peer_send(p->peer, GRANARY__MESSAGE_TYPE__TYPE_QUERY_REPLY, p->number, &p->m.base);
    scratch_return(&p->broker->scratch, p->mark);
    if (more)
        part_begin(p);
}

/* Counts a message that was added, and sends the part when it is full. `n`: how many of its kind are in. */
static bool part_added(part *p, const void *message, size_t n)
{
    if (message)
        p->bytes += protobuf_c_message_get_packed_size(message);
    if (p->bytes >= PART_BYTES || n == PART_ITEMS)
        part_send(p, true);
    return message && p->peer->stage != PEER_DOOMED;
}

/* Appends to one of the lists; ends the surrounding function when the peer is lost. */
#define PART_ADD(p, list, info)                                                                                        \
    do {                                                                                                               \
        void *added_ = info;                                                                                           \
        if (added_)                                                                                                    \
            (p)->list[(p)->m.n_##list++] = added_;                                                                     \
        if (!part_added(p, added_, (p)->m.n_##list))                                                                   \
            return;                                                                                                    \
    } while (0)

static void add_books(part *p)
{
    broker *b = p->broker;
    const core *c = b->driver.core;
    host_view host;
    for (uint32_t cursor = 0; view_host(c, &cursor, &host);)
        PART_ADD(p, hosts, info_host(b, &host));
    allocation_view allocation;
    for (uint32_t cursor = 0; view_allocation(c, &cursor, &allocation);)
        PART_ADD(p, allocations, info_allocation(b, &allocation));
    claim_view claim;
    for (uint32_t cursor = 0; view_claim(c, &cursor, &claim);)
        PART_ADD(p, claims, info_claim(b, &claim));
    waiter_view waiter;
    ms_t now = driver_now();
    for (uint32_t cursor = 0; view_waiter(c, now, &cursor, &waiter);)
        PART_ADD(p, queue, info_waiter(b, &waiter));
    recall_view recall;
    for (uint32_t cursor = 0; view_recall(c, &cursor, &recall);)
        PART_ADD(p, recalls, info_recall(b, &recall));
}

static Granary__LogLine *line_info(broker *b, const log_line *line)
{
    Granary__LogLine *m = scratch_take(&b->scratch, sizeof *m);
    if (!m)
        return NULL;
    granary__log_line__init(m);
    m->wall_ms = line->wall_ms;
    m->level = scratch_text(&b->scratch, log_level_name(line->level));
    m->text = scratch_text(&b->scratch, line->text);
    return m;
}

static void add_log(part *p, uint32_t lines)
{
    uint32_t back = lines && lines < LOG_LINES ? lines : LOG_LINES;
    while (back-- > 0) {
        char text[LOG_TEXT_MAX];
        log_line line;
        if (log_at(p->broker->log, back, text, &line))
            PART_ADD(p, log, line_info(p->broker, &line));
    }
}

void query_answer(peer *p, const frame *f)
{
    broker *b = p->broker;
    const Granary__Query *m = (const Granary__Query *)request_unpack(&b->scratch, &granary__query__descriptor, f);
    if (!m) {
        peer_refuse(p, STATUS_PROTOCOL, "the body of this QUERY is malformed");
        return;
    }
    bool log = m->what == GRANARY__QUERY__WHAT__LOG, follow = log && m->follow;
    uint32_t lines = m->log_lines;
    part *part_ = scratch_take(&b->scratch, sizeof *part_);
    if (!part_) {
        peer_refuse(p, STATUS_NO_MEMORY, "the broker has no room for this answer: ask again later");
        return;
    }
    part_->broker = b;
    part_->peer = p;
    part_->number = f->header.number;
    part_begin(part_);
    if (log)
        add_log(part_, lines);
    else
        add_books(part_);
    part_send(part_, follow);
    if (!follow || p->stage != PEER_OPEN)
        return;
    b->peers.followers += !p->follows;
    p->follows = true;
    p->follow_number = f->header.number;
    log_set_listener(b->log, query_log_line, b);
}

void query_unfollow(peer *p)
{
    if (!p->follows)
        return;
    p->follows = false;
    if (--p->broker->peers.followers == 0)
        log_set_listener(p->broker->log, NULL, NULL); /* nobody waits for words: none are made */
}

void query_log_line(void *userdata, const log_line *line)
{
    broker *b = userdata;
    if (b->telling)
        return;
    b->telling = true; /* a follower that is dropped for not reading is a line, too */
    Granary__QueryReply m = GRANARY__QUERY_REPLY__INIT;
    Granary__LogLine text = GRANARY__LOG_LINE__INIT, *list[1] = {&text};
    text.wall_ms = line->wall_ms;
    text.level = (char *)log_level_name(line->level);
    text.text = (char *)line->text;
    m.more = true;
    m.n_log = 1;
    m.log = list;
    for (uint32_t i = 0; i < b->peers.capacity; i++) {
        peer *p = b->peers.table[i];
        if (!p || !p->follows || p->stage != PEER_OPEN)
            continue;
        if (channel_pending(p->channel) > PART_BYTES)
            continue; /* it does not keep up: it misses lines rather than its connection */
        peer_send(p, GRANARY__MESSAGE_TYPE__TYPE_QUERY_REPLY, p->follow_number, &m.base);
    }
    b->telling = false;
    broker_again(b);
}
