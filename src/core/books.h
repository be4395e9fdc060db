/*
 * books.h - the core's own structures: the table of contents of everything it knows.
 *
 * For the core's files only. Objects live in pools and never move; each noun has its file, and
 * its fields are changed there and nowhere else. Lists that an order is seen from (sessions,
 * allocations, claims, recalls, holdings of an allocation) are kept sorted by number, so that exports
 * are canonical whatever happened before.
 */
#ifndef GRANARY_CORE_BOOKS_H
#define GRANARY_CORE_BOOKS_H

#include "base/heap.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/status.h"
#include "base/table.h"
#include "base/tourney.h"
#include "core/core.h"

typedef struct host host;
typedef struct user user;
typedef struct session session;
typedef struct allocation allocation;
typedef struct holding holding;
typedef struct claim claim;
typedef struct recall recall;

enum { NOUN_HOST, NOUN_SESSION, NOUN_ALLOCATION, NOUN_HOLDING, NOUN_CLAIM, NOUN_RECALL, NOUNS };

/* What a deadline is embedded in. The rest: what was left out or put off is to be looked at. */
enum { DUE_HOST = 1, DUE_SESSION, DUE_WAIT, DUE_LOOK, DUE_HOLDING, DUE_CLAIM, DUE_RECALL, DUE_PLAN, DUE_REST };

/* Durable state that changed since its last record. */
typedef struct {
    list_node node;
    bool dirty, backlog; /* backlog: changed by recovery only; recorded when there is room */
    bool terms;          /* the noun's write-once part too (allocations) */
    bool recorded;       /* the journal knows it: its end must be told too */
} journal_mark;

/* Placement classes: bits of an index. */
enum { CLASS_HOME = 1, CLASS_PERMANENT = 2, CLASS_CORES = 4, CLASSES = 8 };

/* hello's work that is spread over steps */
enum { SYNC_NONE, SYNC_GONE, SYNC_OLD_BOOT, SYNC_WELCOME, SYNC_EXPECT, SYNC_READY };

struct host {
    host_id id;
    char name[NAME_MAX_HOST], boot_id[40], next_boot_id[40];
    char labels[LABELS_MAX];
    bytes_t total, told_total, physical;
    bytes_t set_aside, foreign; /* columns */
    bytes_t granted, returning, held, quarantine, free, overdraft;
    bytes_t config_total, config_set_aside;
    uint32_t config_cores, told_cores, cores;
    bytes_t smooth, last_raw; /* foreign memory before what covers it */
    bytes_t used;             /* by claims, the sum of what was last told */
    bool home, permanent, limited, configured, draining, drained_told;
    bool untold; /* its agent has not told its memory in this life of the broker, and may yet: until it is lost */
    bool connected, ready, fresh, lost, overdraft_told;
    bool gathered; /* what recalls had freed there before this life of the broker is kept again */
    uint8_t class, sync;
    heap_node due; /* suspect: lost then */
    list_node holdings, claims;
    list_node sync_node, trouble_node;
    claim *expect_next;
    bool choice_seen;       /* scratch of one choice */
    bytes_t choice_missing; /* for one chunk more */
    uint64_t choice_looked; /* the last choice that came to it */
    uint64_t recalled;      /* bytes asked back on exactly this host, not yet answered */
    journal_mark mark;
};

struct user {
    user_id id;
    uint32_t weight;
    bytes_t quota;
    bool configured;
    bytes_t granted; /* held chunks of all its allocations */
    list_node node;
    list_node hungry; /* allocations that may grow, the hungriest first */
};

typedef struct {
    list_node node; /* of the session, by number */
    record_answer record;
} answer;

struct session {
    session_id id;
    uint8_t token[16];
    user *user;
    int32_t pid;
    uint64_t pid_start;
    bool operator_;
    session_state state;
    ms_t grace_until;
    uint64_t link;
    request_no acked, acked_seen; /* acked: as recorded */
    request_no highest;           /* request seen */
    heap_node due;
    list_node node, answers, pendings, allocations;
    uint32_t n_answers;
    journal_mark mark;
};

/* A request that is answered when the agent has answered. */
typedef struct {
    list_node node; /* of its session; alone = unused */
    session *session;
    request_no number;
    uint64_t tag;
    chunks_t chunks; /* SHRINK: what was asked for */
    chunks_t before; /* SHRINK: what the claim had, and keeps when the agent refuses */
} pending;

enum { PENDING_OPEN, PENDING_ENTER, PENDING_EMPTY, PENDING_SHRINK, PENDING_CLOSE, PENDING_KILL, PENDINGS };

typedef enum { ASK_NONE, ASK_OPEN, ASK_DONE } ask_state;

struct allocation {
    allocation_id id;
    session_id owner_id;
    session *owner; /* NULL: gone */
    user *user;
    allocation_terms terms;
    ms_t since;
    allocation_state state;
    uint64_t version;
    chunks_t want, held, returning, asked; /* asked: by open recalls but the operator's */
    ms_t wait_until;
    allocation_id no_growth_for;
    heap_node due, look;
    list_node node, owner_node, queue_node, hungry_node, recallable_node, sweep_node, push_node, plan_node;
    list_node holdings, claims, recalls, recalls_for; /* recalls_for: where it is the beneficiary */
    claim *gated;                                     /* its claim of 0 chunks, if any: see claim.h */
    uint32_t n_holdings, n_claims;
    uint32_t n_open, n_done, n_overdue; /* recalls of it; the overdue ones are open */
    uint32_t n_for;                     /* open recalls for it */
    /* soft */
    bool touched, is_new;
    bool end_told;  /* its owner knows that it is over */
    int end_status; /* why, when claims outlive it; 0 = not over, or over the usual way */
    ask_state ask;
    uint32_t ask_left;
    allocation_id asked_for; /* the waiter whose question this one has not answered yet */
    host_id target;          /* where memory is gathered for it */
    uint64_t grow_round;     /* of the last try to grow it */
    uint64_t hopeless;       /* supply_sequence when a choice last found nothing */
    ms_t choose_at;          /* in a crowd: not again before */
    uint64_t queue_look;     /* the last look at the queue that came to it */
    uint64_t doubt_look;     /* the last look for hopeless ones that came to it */
    uint8_t supply_kind, supply_size;
    list_node supply_node;
    chunks_t take; /* of the choice being tried */
    journal_mark mark;
};

/* Beneficiaries whose part of a debt is known; what more of them are given is for whoever is next in turn. */
#define FREED_MAX 3

struct holding {
    allocation *allocation;
    host *host;
    chunks_t held, returning;
    ms_t returning_until;
    chunks_t claimed; /* in claims not quarantined */
    chunks_t claims;  /* number of claims, quarantined too */
    chunks_t take;    /* of the choice being tried */
    bytes_t scratch_bytes;
    bytes_t reserved; /* the host's held column, for this waiter */
    chunks_t asked;   /* by recalls of exactly this host */
    struct {
        allocation_id whom;
        chunks_t chunks;
    } freed[FREED_MAX];         /* of the debt, what recalls for these made; the first given first */
    chunks_t scratch;           /* for one event only: sums of extents */
    struct estimate *estimates; /* of the last offer, the soonest first */
    bool offered;
    bool late; /* what returns has not come in its time: nobody waits for it any more */
    heap_node due;
    list_node node, host_node;
    list_node debt_node; /* while something returns */
    journal_mark mark;
};

typedef struct estimate {
    struct estimate *next;
    ms_t at; /* the chunk's task ends */
} estimate;

struct claim {
    generation gen;
    allocation *allocation;
    holding *holding;
    host *host;
    chunks_t chunks;
    claim_state state;
    ms_t closing_until;
    session_id opener;
    request_no opened_by;
    char command[COMMAND_MAX];
    claim_root root;
    bool kill; /* its processes are to die */
    /* soft */
    ms_t look_at; /* what `due` is armed with: closing_until, or later, once that has passed: looked at again */
    bytes_t used, peak;
    uint32_t processes;
    bool told; /* its agent has told of use and processes in this life of the broker */
    bool over; /* its owner was told that this task uses more than its size */
    ms_t since;
    pending pendings[PENDINGS];
    heap_node due;
    list_node node, allocation_node, host_node;
    journal_mark mark;
};

struct recall {
    record_recall r; /* done when released + withdrawn + revoked == asked */
    allocation *allocation;
    allocation *beneficiary; /* NULL when over or none */
    host *host;              /* NULL = any */
    chunks_t offered, preferred;
    heap_node due;
    list_node node, allocation_node, for_node;
    journal_mark mark;
};

/* Where a walk of view.c has come to: the next call goes on from there. */
enum { VIEW_ALLOCATIONS, VIEW_HOLDINGS, VIEW_CLAIMS, VIEW_RECALLS, VIEW_WAITERS, VIEWS };
typedef struct {
    const list_node *head, *node;
    uint32_t at;
} view_place;

/* Scratch of one choice: bounded, so that a choice in a large fleet stays cheap. */
#define CHOICE_HOSTS 256u
#define CHOICE_PICKS 256u

/* Chunks of one holding that would be asked back. The rest is scratch while a host is looked at. */
typedef struct {
    holding *from;
    chunks_t n, here, above_min; /* here: could be picked yet */
    bytes_t size;
    allocation_id id;
} pick;

typedef struct {
    host *hosts[CHOICE_HOSTS];
    bytes_t costs[CHOICE_HOSTS]; /* of one chunk more there, as counted last; 0 = not possible */
    uint32_t n_hosts;
    uint64_t looks; /* choices so far */
    pick picks[CHOICE_PICKS];
    uint32_t n_picks;
} choice;

/* What supply.c keeps: hosts where memory became free, and waiters by what they need at once. */
#define RISEN_MAX    16u
#define SUPPLY_KINDS 2
#define SUPPLY_SIZES 64
typedef struct {
    host *risen[RISEN_MAX];
    uint32_t n;
    bool all; /* more hosts, or something else */
} supply_news;

typedef struct {
    supply_news news, now; /* for the next look at the queue; for this one */
    list_node by_size[SUPPLY_KINDS][SUPPLY_SIZES];
    uint64_t sizes[SUPPLY_KINDS];                /* bits of the lists that are not empty */
    list_node *next[SUPPLY_KINDS][SUPPLY_SIZES]; /* where this look has come to; NULL = the head */
    bytes_t free;                                /* on all hosts that take part */
    bool hushed, freed_before;
    uint64_t sequence_before;
} supply;

/* A request without effect that waits for offers. */
#define PLANS_MAX 16u /* people ask for plans, and look at them: few at once */
typedef struct {
    session_id session;
    request_no number; /* 0 = unused */
    allocation_terms terms;
    heap_node due;
} plan_wait;

struct core {
    core_limits limits;
    core_timers timers;
    ms_t now;
    uint64_t sequence;
    bool recovered, changed, more;
    bool freed; /* memory became free, or a waiter came: the queue is to be looked at */
    record_counters counters;
    bool counters_dirty;
    uint64_t next_tag;
    uint64_t supply_sequence; /* bumped when something becomes free, or may be asked back */
    supply supply;
    uint64_t queue_looks,
        queue_held;               /* the last look that held memory for somebody: only the first in turn takes all */
    ms_t queue_whole_at;          /* a long queue is looked at from end to end then */
    heap_node queue_due;          /* armed with it when a look left some out */
    bool holdings_full;           /* a waiter was not granted for lack of them */
    bool doubt;                   /* hosts became smaller, or quotas: who waits may never be served */
    uint64_t doubts, doubts_done; /* looks at all who wait, for that */

    host *hosts; /* [counters.host] used */
    uint32_t n_hosts;
    pool users, sessions, allocations, holdings, claims, recalls, answers, estimates;
    table host_names, user_ids, session_ids, allocation_ids, claim_gens, recall_ids, holding_keys;
    list_node user_list, session_list, allocation_list, claim_list, recall_list;
    list_node queue, recallable, sweep, sync, trouble, pushes;
    list_node debts;                                      /* holdings from which something returns */
    uint32_t n_waiting, n_attached, n_hungry, n_fairness; /* fairness: open recalls for it */
    uint32_t n_hungry_of[64];                             /* by chunk size, in powers of two */
    uint64_t hungry_sizes;                                /* bits of those that are not 0 */
    heap_node fairness_due;                               /* many allocations are evened out at leisure */
    ms_t fairness_at;
    uint64_t grow_round;
    event_config_host config_default;
    event_config_user config_user_default;
    heap deadlines;
    tourney by_free[CLASSES];
    tourney by_hope; /* what could ever be granted */

    list_node dirty[NOUNS], backlog[NOUNS];
    uint32_t n_dirty, n_touched, n_notes;
    effect_note spare_note;   /* for notes beyond NOTES_MAX */
    core_effects *effects;    /* of the running step */
    extent plan[EXTENTS_MAX]; /* scratch of place */
    extent lent[EXTENTS_MAX]; /* borrowed by a reply until the next step */
    plan_wait plans[PLANS_MAX];
    list_node plan_asked; /* allocations whose offers the plans wait for */
    bool plan_told;       /* a plan was answered in this step: what its reply borrows is in use */
    extent lent_plan[EXTENTS_MAX];
    planned_ask lent_asks[CHOICE_PICKS];
    uint32_t n_plan;
    choice choice;
    view_place view_places[VIEWS]; /* forgotten by every step */
};

/* Sorted insertion from the tail: new numbers are the highest, so this is constant nearly always. */
#define list_insert_sorted(head, item, type, member, less)                                                             \
    do {                                                                                                               \
        list_node *at_ = (head)->prev;                                                                                 \
        while (at_ != (head) && less((item), container_of(at_, type, member)))                                         \
            at_ = at_->prev;                                                                                           \
        list_insert_after(at_, &(item)->member);                                                                       \
    } while (0)

/* Is there a final NUL within `size` bytes? */
static inline bool text_ends(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == 0)
            return true;
    return false;
}

static inline uint64_t chunk_bytes(const allocation *a, uint64_t chunks)
{
    return a->terms.chunk_size * chunks; /* checked for `want` at the door; held never exceeds it */
}

/* The limit of a claim. One of 0 chunks may use what a drained one may. */
static inline bytes_t claim_bytes(const claim *k, chunks_t chunks)
{
    return chunks ? chunk_bytes(k->allocation, chunks) : drain_tolerance(k->allocation->terms.chunk_size);
}

static inline chunks_t recall_left(const recall *r)
{
    return r->r.asked - r->r.released - r->r.withdrawn - r->r.revoked;
}

static inline bool allocation_is(const allocation *a, uint32_t term)
{
    return (a->terms.flags & term) != 0;
}

/* What must be there at once for a grant; 0 for a growable request that may begin with nothing. */
static inline chunks_t terms_need(const allocation_terms *t)
{
    return t->flags & (TERM_SHRINKABLE | TERM_GROWABLE) ? t->min : t->want;
}

static inline chunks_t allocation_need(const allocation *a)
{
    return terms_need(&a->terms);
}

#endif
