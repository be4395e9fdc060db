#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "client.h"
#include "court.h"

court_others others;
static ms_t now;

/* ---- who does not take part ---- */

const core *broker_core(const broker_node *b)
{
    (void)b;
    return others.core;
}

ms_t broker_now(const broker_node *b)
{
    (void)b;
    return now;
}

bool broker_replays(const broker_node *b, char *why, size_t size)
{
    (void)b;
    snprintf(why, size, "the journal replays to fewer records than there are");
    return !others.diverges;
}

const char *client_name(const client_node *c)
{
    (void)c;
    return "pool 0";
}

bool client_is_over(const client_node *c)
{
    (void)c;
    return false;
}

void client_see(const client_node *c, client_view *ret)
{
    (void)c;
    *ret = (client_view){.allocation = {3}, .waiting = true, .unanswered = 2};
}

bool client_check(const client_node *c, char *why, size_t size)
{
    (void)c;
    snprintf(why, size, "the sums contradict each other");
    return !others.client_miscounts;
}

/* ---- the court ---- */

court *court_open(void)
{
    court *t = calloc(1, sizeof *t);
    others = (court_others){0};
    now = CLOCK_EPOCH_MS;
    t->s.plan.seed = 1;
    t->s.clock = clock_create();
    t->s.n_hosts = 1;
    t->s.machines[0] = t->m = machine_create(&t->s, 0, GIB(8));
    machine_set_enforcement(t->m, ENFORCE_V2);
    t->s.judges = judges_create(&t->s);
    core_event e = {.kind = EVENT_HOST_HELLO};
    e.hello = (event_host_hello){.name = "a", .boot_id = "boot", .physical = GIB(8), .total = GIB(8), .limited = true};
    judge_event(t->s.judges, &e, now);
    court_host(t, false);
    court_session(t, SESSION);
    court_step(t);
    e = (core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = MIB(100)}};
    judge_event(t->s.judges, &e, now);
    court_step(t);
    court_well(t);
    return t;
}

void court_close(court *t)
{
    judges_destroy(t->s.judges);
    machine_destroy(t->m);
    clock_destroy(t->s.clock);
    free(t);
}

static void put(court *t, core_record r)
{
    judge_record(t->s.judges, &r);
}

void court_session(court *t, uint64_t id)
{
    put(t, (core_record){.kind = RECORD_SESSION,
                         .session = {.id = {id}, .user = {1000}, .pid = 42, .state = SESSION_ATTACHED}});
}

void court_allocation(court *t, uint64_t id, allocation_state state, uint32_t flags, chunks_t min, chunks_t want)
{
    core_record r = {.kind = RECORD_ALLOCATION, .allocation = {.id = {id}, .owner = {SESSION}, .user = {1000}}};
    r.allocation.terms =
        (allocation_terms){.chunk_size = CHUNK, .want = want, .min = min, .flags = flags, .notice_ms = 1000};
    put(t, r);
    put(t, (core_record){.kind = RECORD_ALLOCATION_STATE,
                         .allocation_state = {.id = {id}, .state = state, .version = ++t->version, .want = want}});
}

void court_allocation_over(court *t, uint64_t id)
{
    put(t, (core_record){.kind = RECORD_ALLOCATION_END, .allocation_end = {id}});
}

void court_holding(court *t, uint64_t id, chunks_t held, chunks_t returning)
{
    put(t,
        (core_record){.kind = RECORD_HOLDING, .holding = {.allocation = {id}, .held = held, .returning = returning}});
}

void court_claim(court *t, uint64_t gen, uint64_t allocation, chunks_t chunks, claim_state state, bool kill)
{
    core_record r = {.kind = RECORD_CLAIM};
    r.claim = (record_claim){.gen = {gen},
                             .allocation = {allocation},
                             .chunks = chunks,
                             .state = state,
                             .kill = kill,
                             .opener = {SESSION},
                             .opened_by = {gen}};
    put(t, r);
}

void court_claim_over(court *t, uint64_t gen)
{
    put(t, (core_record){.kind = RECORD_CLAIM_END, .claim_end = {gen}});
}

record_recall court_recall(uint64_t id, uint64_t allocation, chunks_t asked)
{
    return (record_recall){
        .id = {id}, .allocation = {allocation}, .reason = RECALL_FOR_DRAIN, .asked = asked, .deadline = now + 1000};
}

void court_put(court *t, record_recall r)
{
    put(t, (core_record){.kind = RECORD_RECALL, .recall = r});
}

void court_recall_over(court *t, uint64_t id)
{
    put(t, (core_record){.kind = RECORD_RECALL_END, .recall_end = {id}});
}

void court_host(court *t, bool draining)
{
    core_record r = {.kind = RECORD_HOST, .host = {.name = "a", .boot_id = "boot", .total = GIB(8)}};
    r.host.draining = draining;
    put(t, r);
}

/* ---- steps ---- */

void court_event(court *t, core_event e, uint64_t number)
{
    if (number)
        e.request = (event_request){.session = {SESSION}, .number = {number}};
    judge_event(t->s.judges, &e, now);
}

core_event court_release(uint64_t allocation, const extent *e)
{
    core_event r = {.kind = EVENT_RELEASE};
    r.release.id.v = allocation;
    r.release.extents = e;
    r.release.n = e ? 1 : 0;
    return r;
}

void court_step(court *t)
{
    judge_stepped(t->s.judges);
    judge_committed(t->s.judges);
}

void court_pass(court *t, ms_t ms)
{
    now += ms;
    court_event(t, (core_event){.kind = EVENT_TICK}, 0);
    court_step(t);
}

void court_live(court *t, uint64_t id, uint32_t flags, chunks_t min, chunks_t held, chunks_t claimed)
{
    court_allocation(t, id, ALLOCATION_LIVE, flags, min, held);
    court_holding(t, id, held, 0);
    if (claimed)
        court_claim(t, id, id, claimed, CLAIM_OPEN, false);
    court_step(t);
    court_well(t);
}

int32_t court_process(court *t, uint64_t gen, bytes_t limit, bytes_t uses)
{
    int32_t pid = machine_start(t->m, 1000, &(process_plan){.from = uses, .to = uses, .life = US_NEVER}, NULL, NULL);
    machine_group *g = machine_group_find(t->m, gen);
    machine_group_enter(t->m, g ? g : machine_group_make(t->m, gen, limit), machine_find(t->m, pid));
    machine_go(t->m, pid);
    return pid;
}

void court_sent(court *t, const message *m)
{
    judge_sent(t->s.judges, "pool 0", m);
}

void court_wrong(court *t, const char *sentence)
{
    assert_string_equal(t->s.wrong, sentence);
    court_close(t);
}

void court_well(court *t)
{
    assert_string_equal(t->s.wrong, "");
}
