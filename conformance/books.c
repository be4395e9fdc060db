/* books.c - what is held, begun and released, and the rules about it. */
#include "books.h"

#include <string.h>

#include "base/status.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t books_held(const books *b)
{
    uint32_t sum = 0;
    for (uint32_t h = 0; h < HOSTS; h++)
        sum += b->held[h];
    return sum;
}

uint32_t books_claimed(const books *b, uint32_t host)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < b->n_claims; i++)
        sum += b->claims[i].open && b->claims[i].host == host ? b->claims[i].chunks : 0;
    return sum;
}

recall *books_recall(books *b, uint64_t id)
{
    for (uint32_t i = 0; i < b->n_recalls; i++)
        if (b->recalls[i].id == id)
            return &b->recalls[i];
    return NULL;
}

claim *books_claim(books *b, uint64_t id)
{
    for (uint32_t i = 0; i < b->n_claims; i++)
        if (b->claims[i].id == id)
            return &b->claims[i];
    return NULL;
}

uint32_t recall_open(const recall *r)
{
    uint32_t done = r->released + r->counted + r->withdrawn;
    return r->over || done >= r->count ? 0 : r->count - done;
}

static bool accepts(const recall *r, uint32_t host)
{
    return r->host == ANY_HOST || r->host == host;
}

/* What the recall takes of this host: all that is open, or, where the broker preferred hosts, what those cannot give.
 */
static uint32_t takes(const books *b, const recall *r, uint32_t host)
{
    uint32_t open = recall_open(r), elsewhere = 0;
    if (!accepts(r, host))
        return 0;
    if (!r->prefer_told || r->overdue)
        return open;
    for (uint32_t h = 0; h < HOSTS; h++)
        if (h != host && accepts(r, h))
            elsewhere += least(r->prefer[h], b->held[h]);
    uint32_t uncovered = open > elsewhere ? open - elsewhere : 0, preferred = least(r->prefer[host], open);
    return preferred > uncovered ? preferred : uncovered;
}

uint32_t books_wanted(const books *b, uint32_t host, uint64_t moment)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < b->n_recalls; i++) {
        const recall *r = &b->recalls[i];
        if (r->told > 0 && r->known != NEVER_KNOWN && r->known <= moment)
            sum += takes(b, r, host);
    }
    return sum;
}

void books_quiet(books *b)
{
    b->now++;
    for (uint32_t i = 0; i < b->n_recalls; i++) {
        recall *r = &b->recalls[i];
        if (r->told > 0 && r->known == NEVER_KNOWN)
            r->known = b->now;
        if (r->over && r->late_told && r->unwanted == NEVER_KNOWN)
            r->unwanted = b->now;
        if (r->prefer_told && r->prefer_known == NEVER_KNOWN)
            r->prefer_known = b->now;
    }
    if (b->ended_told && b->ended_known == NEVER_KNOWN)
        b->ended_known = b->now;
}

/* ---- tasks ---- */

static bool listed(const pid_t *pids, uint32_t n, pid_t pid)
{
    for (uint32_t i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

void books_ungate(books *b, pid_t pid, bool refused)
{
    for (uint32_t i = 0; i < b->n_gated; i++)
        if (b->gated[i] == pid)
            b->gated[i--] = b->gated[--b->n_gated];
    for (uint32_t i = 0; i < b->n_refused; i++)
        if (b->refused[i] == pid)
            b->refused[i--] = b->refused[--b->n_refused]; /* the last answer counts */
    if (refused && b->n_refused < CLAIMS_MAX)
        b->refused[b->n_refused++] = pid;
}

/* When its slot was handed out: as its process was to be claimed, if it was. */
static uint64_t handed_out(const books *b, pid_t pid)
{
    for (uint32_t i = 0; i < b->n_claims; i++)
        if (b->claims[i].pid == pid)
            return b->claims[i].entered;
    return b->now;
}

static bool judge_grant(const books *b, report *r)
{
    if (b->state == BOOKS_LIVE || b->state == BOOKS_ENDING)
        return true;
    if (b->state != BOOKS_GONE)
        report_broken(r, RULE_NOT_GRANTED, "a task began, and nothing was granted yet");
    else if (b->ended_known != NEVER_KNOWN)
        report_broken(r, RULE_ENDED, "a task began after the end of the allocation was told");
    else if (!b->ended_told)
        report_broken(r, RULE_NOT_GRANTED, "a task began, and the request was refused");
    return false;
}

static void judge_slot(const books *b, const board *tasks, const task *t, report *r)
{
    uint32_t running = board_count(tasks, t->host), held = b->held[t->host];
    uint32_t elsewhere = 0, wanted = books_wanted(b, t->host, handed_out(b, t->pid));
    if (running > held + b->returning[t->host]) {
        bool believed = b->stale_told && running <= b->stale[t->host];
        report_broken(r, believed ? RULE_VERSION_ORDER : RULE_UNHELD,
                      believed ? "%u tasks run on host %u, where %u chunks are held; an older state said %u"
                               : "%u tasks run on host %u, where %u chunks are held",
                      running, t->host, held, b->stale[t->host]);
        return;
    }
    for (uint32_t h = 0; h < HOSTS; h++)
        if (h != t->host && b->held[h] > board_count(tasks, h))
            elsewhere += b->held[h] - board_count(tasks, h);
    for (uint32_t i = 0; i < b->n_recalls; i++)
        if (b->recalls[i].host == t->host)
            elsewhere = 0; /* not all of what is wanted here could come from elsewhere */
    wanted -= least(wanted, elsewhere);
    if (wanted > 0 && running + wanted > held + b->returning[t->host])
        report_broken(r, RULE_WANTED_SLOT, "a task began on host %u: %u run in %u chunks, of which %u %s wanted back",
                      t->host, running, held, wanted, wanted == 1 ? "is" : "are");
}

void books_begin(books *b, const board *tasks, const task *t, report *r)
{
    if (b->to_start > 0)
        b->to_start--;
    if (t->host >= HOSTS) {
        report_broken(r, RULE_UNHELD, "a task says that it runs on host %u, which there is not", t->host);
        return;
    }
    if (listed(b->refused, b->n_refused, t->pid))
        report_broken(r, RULE_CLAIM_REFUSED, "the task of pid %d runs though its claim failed", (int)t->pid);
    else if (listed(b->gated, b->n_gated, t->pid))
        report_broken(r, RULE_GATE, "the task of pid %d runs before its CLAIM or ENTER was answered", (int)t->pid);
    if (judge_grant(b, r))
        judge_slot(b, tasks, t, r);
}

void books_end(books *b, const board *tasks, uint32_t host)
{
    if (host >= HOSTS)
        return;
    uint32_t running = board_count(tasks, host), above = running > b->held[host] ? running - b->held[host] : 0;
    b->returning[host] = least(b->returning[host], above);
}

/* ---- releases ---- */

static void judge_recall(const books *b, const recall *x, const uint32_t give[HOSTS], uint32_t sum, report *r)
{
    uint32_t covered = 0;
    if (x->released + sum > x->count)
        report_broken(r, x->told > 1 ? RULE_RECALL_TWICE : RULE_RECALL_EXCEEDED,
                      "recall %llu asked for %u, was told %u %s, and got %u", (unsigned long long)x->id, x->count,
                      x->told, x->told == 1 ? "time" : "times", x->released + sum);
    if (x->over && x->late_told && x->unwanted != NEVER_KNOWN && x->unwanted <= b->now && x->released + sum <= x->count)
        report_broken(r, RULE_WITHDRAWN, "%u released for recall %llu, which is over", sum, (unsigned long long)x->id);
    for (uint32_t h = 0; h < HOSTS; h++) {
        if (give[h] > 0 && !accepts(x, h))
            report_broken(r, RULE_RECALL_HOST,
                          "recall %llu wants chunks of host %u; one of host %u was released for it",
                          (unsigned long long)x->id, x->host, h);
        covered += least(x->prefer[h], b->held[h]);
    }
    for (uint32_t h = 0; h < HOSTS; h++)
        if (give[h] > 0 && x->prefer_known != NEVER_KNOWN && !x->overdue && x->prefer[h] == 0 && recall_open(x) > 0 &&
            covered >= recall_open(x))
            report_broken(r, RULE_PREFERENCE,
                          "for recall %llu a chunk of host %u went; the broker preferred another host",
                          (unsigned long long)x->id, h);
}

static void judge_without_id(const books *b, const uint32_t give[HOSTS], report *r)
{
    for (uint32_t h = 0; h < HOSTS; h++)
        if (give[h] > 0 && b->to_start > 0 && books_wanted(b, h, b->now) > 0) {
            report_broken(r, RULE_RECALL_ID, "%u of host %u released with recall 0 while a recall wants them", give[h],
                          h);
            return;
        }
}

/* Chunks released without an id count for open recalls that accept them. */
static void count_for_open(books *b, uint32_t host, uint32_t n)
{
    for (uint32_t i = 0; i < b->n_recalls && n > 0; i++) {
        recall *x = &b->recalls[i];
        uint32_t part = accepts(x, host) ? least(recall_open(x), n) : 0;
        x->counted += part;
        n -= part;
    }
}

static void book_release(books *b, const board *tasks, recall *x, const uint32_t give[HOSTS], uint32_t sum)
{
    for (uint32_t h = 0; h < HOSTS; h++) {
        uint32_t n = give[h], running = board_count(tasks, h),
                 own = x && x->released < x->count ? least(n, x->count - x->released) : 0;
        if (n == 0)
            continue;
        b->held[h] -= n;
        if (running > b->held[h] + b->returning[h])
            b->returning[h] = running - b->held[h];
        if (x) {
            x->released += own;
            n -= own;
            x->prefer[h] -= least(x->prefer[h], give[h]);
        }
        count_for_open(b, h, n);
    }
    if (!x)
        b->want -= least(b->want, sum);
    b->version++;
    b->stale_told = false;
    for (uint32_t i = 0; i < b->n_recalls; i++)
        if (!b->recalls[i].over && recall_open(&b->recalls[i]) == 0)
            b->recalls[i].over = true; /* nobody tells: who gave knows */
}

int books_release(books *b, const board *tasks, uint64_t id, const uint32_t give[HOSTS], report *r)
{
    recall *x = id ? books_recall(b, id) : NULL;
    uint32_t sum = 0;
    if (id != 0 && (!x || x->told == 0)) {
        report_broken(r, RULE_RECALL_UNKNOWN, "a release for recall %llu, which was never told",
                      (unsigned long long)id);
        x = NULL;
    }
    for (uint32_t h = 0; h < HOSTS; h++) {
        sum += give[h];
        if (give[h] <= b->held[h])
            continue;
        bool believed = b->stale_told && give[h] <= b->stale[h];
        /* Giving the same twice is the usual reason: say so when it was for one recall. */
        if (!believed && x && x->told > 1 && x->released + give[h] > x->count)
            report_broken(r, RULE_RECALL_TWICE, "recall %llu, told %u times, got %u of %u", (unsigned long long)id,
                          x->told, x->released + give[h], x->count);
        else
            report_broken(r, believed ? RULE_VERSION_ORDER : RULE_RELEASE_HELD,
                          believed ? "%u of host %u released, where %u are held; an older state said %u"
                                   : "%u of host %u released, where %u are held",
                          give[h], h, b->held[h], b->stale[h]);
        return STATUS_STATE;
    }
    if (x)
        judge_recall(b, x, give, sum, r);
    else if (id == 0)
        judge_without_id(b, give, r);
    book_release(b, tasks, x, give, sum);
    return 0;
}

/* ---- offers ---- */

void books_offer(const books *b, const board *tasks, const Granary__Offer *m, report *r)
{
    uint32_t items[HOSTS] = {0}, idle[HOSTS] = {0}, wanted = 0, held = books_held(b);
    for (size_t i = 0; i < m->n_items; i++) {
        const Granary__OfferItem *item = m->items[i];
        if (item->host >= HOSTS) {
            report_broken(r, RULE_OFFER_HELD, "an offer names host %u, which there is not", item->host);
            return;
        }
        items[item->host]++;
        idle[item->host] += item->known && item->free_in_ms == 0;
    }
    for (uint32_t h = 0; h < HOSTS; h++) {
        uint32_t running = board_count(tasks, h), free_there = b->held[h] > running ? b->held[h] - running : 0;
        if (items[h] > b->held[h])
            report_broken(r, b->stale_told && items[h] <= b->stale[h] ? RULE_VERSION_ORDER : RULE_OFFER_HELD,
                          "%u chunks of host %u are offered, %u are held", items[h], h, b->held[h]);
        else if (idle[h] > free_there)
            report_broken(r, RULE_OFFER_IDLE, "%u chunks of host %u are called idle: %u are held and %u tasks run",
                          idle[h], h, b->held[h], running);
    }
    for (uint32_t i = 0; i < b->n_recalls; i++) {
        const recall *x = &b->recalls[i];
        if (x->told > 0 && x->released < x->count && !(x->over && x->late_told))
            wanted += x->count - x->released; /* also when it is over, and that was not told */
        if (x->operator_made)
            return; /* it may ask for firm chunks */
    }
    if (m->n_items > wanted && m->n_items + b->min > held)
        report_broken(r, RULE_OFFER_FIRM, "%zu of %u chunks are offered, %u of which are firm", m->n_items, held,
                      b->min);
}
