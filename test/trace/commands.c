/*
 * commands.c - the language of scenarios.
 *
 * before anything else:
 *   timers [ask T] [notice T] [grace T] [suspect T] [age_guard T] [returning T] [quarantine T]
 *   limits [hosts N] [users N] [sessions N] [allocations N] [holdings N] [claims N] [recalls N] [answers N]
 *   records                                  show journal records, too
 * configuration:
 *   config host NAME|* [total S] [set_aside S] [cores N] [home] [permanent] [labels TEXT]
 *   config user UID|* [weight N] [quota S]
 * agents:
 *   host NAME SIZE [cores N] [boot TEXT] [total S] [watch] [groups gN ...]
 *   gone NAME, sample NAME in_use S [claims S]
 *   opened|entered|limited|emptied gN [on NAME] [status NAME] [oom|killed] [peak S]
 *   use|drained gN [on NAME] [used S] [peak S] [processes N] [oom|killed]
 * sessions:
 *   session NAME uid N [pid N] [operator], reattach NAME [wrong], broken NAME, end NAME
 * requests (of the owner, unless "by SESSION" stands at the end):
 *   alloc NAME SESSION N x S [min N] [growable|recallable|... as TERM_*] [priority N] [notice T] [wait T] [filter TEXT]
 *   plan SESSION N x S ...; cancel A; want A N; transfer A SESSION
 *   release A HOST N [HOST N ...] [for rN]; release_n A N [busy HOST N ...] [for rN]
 *   offer A [for rN] [HOST T|unknown ...]
 *   claim A HOST N [pid]; enter gN A [fresh]; empty gN A; shrink gN A N; close gN A [kill]
 *   outcome SESSION rN; drain|undrain SESSION HOST; release_foreign SESSION A N
 *   again                                    the last request once more, with its number
 * time: after T, tick, restart [reboot]
 * looking: books
 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"
#include "requests.h"
#include "show.h"

static int take_status(words *line)
{
    const char *name = words_take(line);
    for (int status = STATUS_OFFER_NONE; status > -64; status--)
        if (strcmp(status_name(status), name) == 0)
            return status;
    words_fail(line, "no status \"%s\"", name);
}

/* ---- before the start ---- */

typedef struct {
    const char *word;
    size_t offset;
} member;

static bool take_member(words *line, const member *members, size_t n, size_t *ret_offset)
{
    for (size_t i = 0; i < n; i++)
        if (words_skip(line, members[i].word)) {
            *ret_offset = members[i].offset;
            return true;
        }
    return false;
}

static void do_timers(world *w, words *line)
{
    static const member members[] = {
        {"suspect", offsetof(core_timers, suspect_ms)},
        {"grace", offsetof(core_timers, grace_ms)},
        {"age_guard", offsetof(core_timers, age_guard_ms)},
        {"notice", offsetof(core_timers, notice_ms)},
        {"ask", offsetof(core_timers, ask_ms)},
        {"returning", offsetof(core_timers, returning_ms)},
        {"quarantine", offsetof(core_timers, quarantine_ms)},
    };
    size_t offset;
    while (take_member(line, members, sizeof members / sizeof *members, &offset))
        *(ms_t *)((char *)&w->timers + offset) = words_span(line);
}

static void do_limits(world *w, words *line)
{
    static const member members[] = {
        {"hosts", offsetof(core_limits, hosts)},       {"users", offsetof(core_limits, users)},
        {"sessions", offsetof(core_limits, sessions)}, {"allocations", offsetof(core_limits, allocations)},
        {"holdings", offsetof(core_limits, holdings)}, {"claims", offsetof(core_limits, claims)},
        {"recalls", offsetof(core_limits, recalls)},   {"answers", offsetof(core_limits, answers)},
    };
    size_t offset;
    while (take_member(line, members, sizeof members / sizeof *members, &offset))
        *(uint32_t *)((char *)&w->limits + offset) = (uint32_t)words_number(line);
}

static void do_records(world *w, words *line)
{
    (void)line;
    w->show_records = true;
}

/* ---- configuration ---- */

static void do_config(world *w, words *line)
{
    core_event e = {.kind = EVENT_CONFIG_USER};
    if (words_skip(line, "user")) {
        event_config_user *u = &e.config_user;
        u->user.v = words_skip(line, "*") ? UINT32_MAX : (uint32_t)words_number(line);
        u->weight = words_skip(line, "weight") ? (uint32_t)words_number(line) : 1;
        u->quota = words_skip(line, "quota") ? words_size(line) : 0;
    } else {
        event_config_host *h = &e.config_host;
        words_want(line, "host");
        e.kind = EVENT_CONFIG_HOST;
        text_copy(h->name, sizeof h->name, words_take(line));
        h->total = words_skip(line, "total") ? words_size(line) : 0;
        h->set_aside = words_skip(line, "set_aside") ? words_size(line) : UINT64_MAX;
        h->cores = words_skip(line, "cores") ? (uint32_t)words_number(line) : 0;
        h->home = words_skip(line, "home");
        h->permanent = words_skip(line, "permanent");
        if (words_skip(line, "labels"))
            text_copy(h->labels, sizeof h->labels, words_take(line));
    }
    world_step(w, &e);
}

/* ---- agents ---- */

static void do_host(world *w, words *line)
{
    core_event e = {.kind = EVENT_HOST_HELLO};
    event_host_hello *h = &e.hello;
    text_copy(h->name, sizeof h->name, words_take(line));
    h->physical = words_size(line);
    h->cores = words_skip(line, "cores") ? (uint32_t)words_number(line) : 4;
    text_copy(h->boot_id, sizeof h->boot_id, words_skip(line, "boot") ? words_take(line) : "boot-1");
    h->total = words_skip(line, "total") ? words_size(line) : h->physical;
    h->limited = !words_skip(line, "watch");
    h->groups = w->groups;
    if (words_skip(line, "groups"))
        while (words_more(line) && h->n_groups < 256)
            w->groups[h->n_groups++] = line_claim(line);
    world_step(w, &e);
}

static void do_gone(world *w, words *line)
{
    world_step(w, &(core_event){.kind = EVENT_HOST_GONE, .gone = line_host(w, line)});
}

static void do_sample(world *w, words *line)
{
    core_event e = {.kind = EVENT_HOST_SAMPLE};
    e.sample.host = line_host(w, line);
    words_want(line, "in_use");
    e.sample.in_use = words_size(line);
    e.sample.claims_used = words_skip(line, "claims") ? words_size(line) : 0;
    world_step(w, &e);
}

static claim_cause take_cause(words *line)
{
    return words_skip(line, "oom") ? CAUSE_OOM : words_skip(line, "killed") ? CAUSE_KILLED : CAUSE_EXIT;
}

/* The host of a claim that the books know, else as the line says. */
static host_id host_of(world *w, words *line, generation gen)
{
    claim_view claim;
    if (words_skip(line, "on"))
        return line_host(w, line);
    if (view_claim_by_gen(w->core, gen, &claim) < 0)
        words_fail(line, "no claim g%llu: say on which host", (unsigned long long)gen.v);
    return claim.host;
}

static void answer(world *w, words *line, event_kind kind)
{
    core_event e = {.kind = kind};
    e.answer.gen = line_claim(line);
    e.answer.host = host_of(w, line, e.answer.gen);
    e.answer.status = words_skip(line, "status") ? take_status(line) : 0;
    e.answer.cause = take_cause(line);
    e.answer.peak = words_skip(line, "peak") ? words_size(line) : 0;
    e.answer.tag = world_tag(w, e.answer.gen.v);
    world_step(w, &e);
}

static void do_opened(world *w, words *line)
{
    answer(w, line, EVENT_CLAIM_OPENED);
}

static void do_entered(world *w, words *line)
{
    answer(w, line, EVENT_CLAIM_ENTERED);
}

static void do_limited(world *w, words *line)
{
    answer(w, line, EVENT_CLAIM_LIMITED);
}

static void do_emptied(world *w, words *line)
{
    answer(w, line, EVENT_CLAIM_EMPTIED);
}

static void use(world *w, words *line, event_kind kind)
{
    core_event e = {.kind = kind};
    e.use.gen = line_claim(line);
    e.use.host = host_of(w, line, e.use.gen);
    e.use.used = words_skip(line, "used") ? words_size(line) : 0;
    e.use.peak = words_skip(line, "peak") ? words_size(line) : 0;
    e.use.processes = words_skip(line, "processes") ? (uint32_t)words_number(line) : 0;
    e.use.cause = take_cause(line);
    world_step(w, &e);
}

static void do_use(world *w, words *line)
{
    use(w, line, EVENT_CLAIM_USE);
}

static void do_drained(world *w, words *line)
{
    use(w, line, EVENT_CLAIM_DRAINED);
}

/* ---- sessions ---- */

static void do_session(world *w, words *line)
{
    core_event e = {.kind = EVENT_SESSION_OPEN};
    const char *name = words_take(line);
    words_want(line, "uid");
    e.session.user.v = (uint32_t)words_number(line);
    e.session.pid = words_skip(line, "pid") ? (int32_t)words_number(line) : 100 + (int32_t)w->n_sessions;
    e.session.pid_start = 1;
    e.session.operator_ = words_skip(line, "operator");
    e.session.link = ++w->links;
    memset(e.session.token, (int)w->links, sizeof e.session.token);
    world_bind_session(w, name, &e.session);
    world_step(w, &e);
}

static void session_event(world *w, words *line, event_kind kind)
{
    trace_session *s = line_session(w, line);
    core_event e = {.kind = kind};
    e.session.session.v = s->session_name.id;
    e.session.user = s->user;
    e.session.operator_ = s->operator_;
    e.session.pid = 100;
    e.session.pid_start = 1;
    memcpy(e.session.token, s->token, sizeof s->token);
    if (kind == EVENT_SESSION_REATTACH && words_skip(line, "wrong"))
        e.session.token[15] ^= 1;
    s->link = kind == EVENT_SESSION_REATTACH ? ++w->links : s->link;
    e.session.link = s->link;
    world_step(w, &e);
}

static void do_reattach(world *w, words *line)
{
    session_event(w, line, EVENT_SESSION_REATTACH);
}

static void do_broken(world *w, words *line)
{
    session_event(w, line, EVENT_SESSION_BROKEN);
}

static void do_end(world *w, words *line)
{
    session_event(w, line, EVENT_SESSION_END);
}

/* ---- time, and looking ---- */

static void do_after(world *w, words *line)
{
    world_pass(w, words_span(line));
}

static void do_tick(world *w, words *line)
{
    (void)line;
    world_step(w, &(core_event){.kind = EVENT_TICK});
}

static void do_restart(world *w, words *line)
{
    world_restart(w, words_skip(line, "reboot"));
}

static void do_books(world *w, words *line)
{
    (void)line;
    show_books(w);
}

typedef struct {
    const char *name;
    void (*run)(world *w, words *line);
    bool before_start;
} command;

static const command commands[] = {
    {"timers", do_timers, true},
    {"limits", do_limits, true},
    {"records", do_records, true},
    {"config", do_config, false},
    {"host", do_host, false},
    {"gone", do_gone, false},
    {"sample", do_sample, false},
    {"opened", do_opened, false},
    {"entered", do_entered, false},
    {"limited", do_limited, false},
    {"emptied", do_emptied, false},
    {"use", do_use, false},
    {"drained", do_drained, false},
    {"session", do_session, false},
    {"reattach", do_reattach, false},
    {"broken", do_broken, false},
    {"end", do_end, false},
    {"alloc", do_alloc, false},
    {"plan", do_plan, false},
    {"cancel", do_cancel, false},
    {"want", do_want, false},
    {"release", do_release, false},
    {"release_n", do_release_n, false},
    {"offer", do_offer, false},
    {"claim", do_claim, false},
    {"enter", do_enter, false},
    {"empty", do_empty, false},
    {"shrink", do_shrink, false},
    {"close", do_close, false},
    {"transfer", do_transfer, false},
    {"outcome", do_outcome, false},
    {"drain", do_drain, false},
    {"undrain", do_undrain, false},
    {"release_foreign", do_release_foreign, false},
    {"again", do_again, false},
    {"after", do_after, false},
    {"tick", do_tick, false},
    {"restart", do_restart, false},
    {"books", do_books, false},
};

void command_run(world *w, words *line)
{
    const char *name = words_take(line);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (commands[i].before_start && w->core)
            words_fail(line, "\"%s\" must come before everything else", name);
        if (!commands[i].before_start && !w->core)
            world_start(w);
        commands[i].run(w, line);
        words_end(line);
        return;
    }
    words_fail(line, "no command \"%s\"", name);
}
