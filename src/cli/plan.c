/*
 * plan.c - `granary plan`: would this be granted now, where, and else when and at whose cost. Nothing is changed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/request.h"
#include "cli/table.h"
#include "cli/usable.h"

typedef struct {
    command_call *call;
    request_options request;
    uint32_t most; /* -j: a growable request of up to so many chunks */
    granary_request wish;
} plan;

static int plan_options(plan *p)
{
    option rows[REQUEST_OPTIONS + 1];
    size_t n = request_table(&p->request, rows);

    rows[n++] = (option){'j',      "jobs",  OPTION_JOBS,
                         &p->most, "COUNT", "as harvest: up to so many chunks, growing as memory frees up"};
    int r = options_parse(p->call, rows, n, OPTIONS_STOP);
    if (r != 0)
        return r;
    if (p->most && p->request.chunks > p->most)
        return options_wrong(p->call, "-n %u is more than -j %u", p->request.chunks, p->most) + 1;
    return 0;
}

static void plan_wish(plan *p)
{
    request_fill(&p->request, p->call->argc > 0 ? p->call->argv[0] : "plan", &p->wish);
    if (p->most) {
        p->wish.want = p->most;
        p->wish.flags |= GRANARY_GROWABLE | GRANARY_SHRINKABLE | GRANARY_RECALLABLE;
    } else {
        p->wish.flags |= GRANARY_ONE_HOST;
    }
}

static const char *host_name(const query *q, uint32_t host)
{
    const Granary__Welcome *w = query_welcome(q);
    for (size_t i = 0; i < w->n_hosts; i++)
        if (w->hosts[i]->id == host)
            return w->hosts[i]->name;
    return "?";
}

static const Granary__AllocationInfo *allocation_of(const snapshot *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_allocations; i++)
        if (s->allocations[i]->id == id)
            return s->allocations[i];
    return NULL; /* it has ended meanwhile */
}

/* Where in the queue it would stand: behind everybody of at least its priority. */
static uint32_t place_of(const plan *p, const snapshot *s)
{
    uint32_t place = 1;
    for (size_t i = 0; i < s->n_queue; i++)
        place += s->queue[i]->allocation && s->queue[i]->allocation->priority >= p->wish.priority;
    return place;
}

/* Exit code of a plan: that of the request itself, had it been made with --now. */
static int plan_exit(int status)
{
    return status == STATUS_WAITING ? EXIT_NOT_NOW : exits_of_status(status);
}

static json_t *hosts_json(const query *q, const Granary__Reply *reply)
{
    json_t *hosts = json_array();

    for (size_t i = 0; i < reply->n_extents; i++) {
        json_t *e = json_object();
        json_object_set_new(e, "host", json_string(host_name(q, reply->extents[i]->host)));
        json_object_set_new(e, "chunks", json_integer(reply->extents[i]->chunks));
        json_array_append_new(hosts, e);
    }
    return hosts;
}

static json_t *asks_json(const query *q, const Granary__Reply *reply, const snapshot *s)
{
    json_t *asks = json_array();

    for (size_t i = 0; i < reply->n_asks; i++) {
        const Granary__PlannedAsk *ask = reply->asks[i];
        const Granary__AllocationInfo *a = allocation_of(s, ask->allocation);
        json_t *e = json_object();
        json_object_set_new(e, "allocation", json_integer((json_int_t)ask->allocation));
        json_object_set_new(e, "label", json_string(a ? a->label : ""));
        json_object_set_new(e, "host", json_string(host_name(q, ask->host)));
        json_object_set_new(e, "chunk_size", a ? json_integer((json_int_t)a->chunk_size) : json_null());
        json_object_set_new(e, "chunks", json_integer(ask->chunks));
        json_object_set_new(e, "expected_ms",
                            ask->expected_known ? json_integer((json_int_t)ask->expected_ms) : json_null());
        json_array_append_new(asks, e);
    }
    return asks;
}

static int plan_json(const plan *p, const query *q, const Granary__Reply *reply, const snapshot *s)
{
    json_t *root = json_object();
    bool now = reply->status == 0;

    json_object_set_new(root, "status", json_string(status_name(reply->status)));
    json_object_set_new(root, "now", json_boolean(now));
    json_object_set_new(root, "chunk_size", json_integer((json_int_t)p->wish.chunk_size));
    json_object_set_new(root, "want", json_integer(p->wish.want));
    json_object_set_new(root, "hosts", hosts_json(q, reply));
    json_object_set_new(root, "place", json_integer(now ? 0 : place_of(p, s)));
    json_object_set_new(root, "reason", json_string(reply->reason));
    json_object_set_new(root, "free", now ? json_null() : json_integer((json_int_t)reply->most));
    json_object_set_new(root, "asks", asks_json(q, reply, s));
    json_object_set_new(root, "expected_ms",
                        reply->expected_known ? json_integer((json_int_t)reply->expected_ms) : json_null());
    return books_json_print(p->call, root);
}

static void print_granted(const plan *p, const query *q, const Granary__Reply *reply)
{
    char size[SIZE_TEXT_MAX], safe[TABLE_CELL_MAX];

    size_format(p->wish.chunk_size, size);
    printf("Would be granted now:");
    for (size_t i = 0; i < reply->n_extents; i++) {
        text_escape(safe, sizeof safe, host_name(q, reply->extents[i]->host));
        printf("%s %u x %s on %s", i ? "," : "", reply->extents[i]->chunks, size, safe);
    }
    puts(reply->n_extents ? "" : " nothing yet; chunks would come as memory frees up");
}

/* "3 chunks of 700M would be asked back from allocation 53 (sh, root) on vm, the last expected in 1.9s" */
static void print_ask(const query *q, const Granary__PlannedAsk *ask, const snapshot *s)
{
    char size[SIZE_TEXT_MAX], time[DURATION_TEXT_MAX], safe[TABLE_CELL_MAX], user[BOOKS_USER_MAX];
    const Granary__AllocationInfo *a = allocation_of(s, ask->allocation);

    printf("%u %s", ask->chunks, text_plural(ask->chunks, "chunk", "chunks"));
    if (a)
        printf(" of %s", size_format(a->chunk_size, size));
    printf(" would be asked back from allocation %" PRIu64, ask->allocation);
    if (a) {
        text_escape(safe, sizeof safe, a->label);
        printf(" (%s, %s)", safe, books_user_name(a->uid, user));
    }
    text_escape(safe, sizeof safe, host_name(q, ask->host));
    printf(" on %s, ", safe);
    if (!ask->expected_known)
        puts("nobody knows when its tasks end");
    else if (ask->expected_ms == 0)
        puts(text_plural(ask->chunks, "idle now", "all idle now"));
    else
        printf("%s in %s\n", text_plural(ask->chunks, "expected", "the last expected"),
               duration_format(ask->expected_ms, time));
}

static void print_waiting(const plan *p, const query *q, const Granary__Reply *reply, const snapshot *s)
{
    char size[SIZE_TEXT_MAX], freed[SIZE_TEXT_MAX], time[DURATION_TEXT_MAX], safe[TABLE_CELL_MAX];

    printf("%u x %s would wait, at place %u: the most that is free on one %s is %s\n", p->wish.want,
           size_format(p->wish.chunk_size, size), place_of(p, s), p->wish.hosts ? "of those hosts" : "host",
           size_format(reply->most, freed));
    for (size_t i = 0; i < reply->n_asks; i++)
        print_ask(q, reply->asks[i], s);
    text_escape(safe, sizeof safe, reply->reason);
    if (safe[0])
        printf("Nobody would be asked to give back: %s.\n", safe);
    else if (reply->n_asks == 0)
        puts("Nobody would be asked to give back: it starts when enough is free.");
    else if (reply->expected_known)
        printf("Expected to start in %s.\n", duration_format(reply->expected_ms, time));
}

static int plan_print(const plan *p, query *q, const Granary__Reply *reply)
{
    snapshot *s;
    int r = query_snapshot(q, &s);

    if (r < 0) {
        options_say(p->call, "%s", query_why(q));
        return exits_of_status(r);
    }
    int code = 0;
    if (p->call->json)
        code = plan_json(p, q, reply, s);
    else if (reply->status == 0)
        print_granted(p, q, reply);
    else
        print_waiting(p, q, reply, s);
    snapshot_destroy(s);
    return code ? code : books_flush(p->call);
}

int plan_run(command_call *call)
{
    plan p = {.call = call};
    const Granary__Reply *reply;
    query *q;
    int r = plan_options(&p);

    if (r != 0)
        return r - 1;
    if (p.request.chunk_size == 0)
        r = usable_ask(call, &p.request.chunk_size);
    if (r != 0)
        return r;
    plan_wish(&p);
    r = books_open(call, &q);
    if (r != 0)
        return r;
    r = query_plan(q, &p.wish, &reply);
    if (!reply || (r < 0 && r != STATUS_NOT_NOW)) {
        options_say(call, "%s", request_why(&p.request, r, query_why(q)));
        query_close(q);
        return exits_of_status(r);
    }
    int code = plan_print(&p, q, reply);
    query_close(q);
    return code ? code : plan_exit(r);
}
