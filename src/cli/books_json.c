/*
 * books_json.c - the snapshot as JSON (see books.h). Bytes and milliseconds are integers; the names are part of the
 * interface.
 */
#include "cli/books.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/exits.h"
#include "cli/table.h"

/* Text of strangers may not be UTF-8, which JSON cannot hold: such text goes out as it would on a terminal. */
static json_t *text_json(const char *text)
{
    char safe[TABLE_CELL_MAX];
    json_t *j = json_string(text);

    if (j)
        return j;
    text_escape(safe, sizeof safe, text);
    return json_string(safe);
}

static json_t *number_json(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *host_json(const Granary__HostInfo *h)
{
    json_t *j = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } columns[] = {
        {"cores", h->cores},         {"total", h->total},
        {"set_aside", h->set_aside}, {"foreign", h->foreign},
        {"granted", h->granted},     {"returning", h->returning},
        {"held", h->held},           {"quarantine", h->quarantine},
        {"free", h->free},           {"overdraft", h->overdraft},
        {"used", h->used},           {"stranded", h->stranded},
    };

    json_object_set_new(j, "name", text_json(h->name));
    json_object_set_new(j, "state", text_json(h->state));
    json_object_set_new(j, "enforcement", text_json(h->enforcement));
    json_object_set_new(j, "enforcement_reason", text_json(h->enforcement_reason));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        json_object_set_new(j, columns[i].name, number_json(columns[i].value));
    json_object_set_new(j, "stranded_reason", text_json(h->stranded_reason));
    json_object_set_new(j, "labels", text_json(h->labels));
    return j;
}

static json_t *claim_json(const snapshot *s, const Granary__ClaimInfo *c)
{
    json_t *j = json_object(), *pids = json_array();

    for (size_t i = 0; i < c->n_pids; i++)
        json_array_append_new(pids, json_integer(c->pids[i]));
    json_object_set_new(j, "id", number_json(c->id));
    json_object_set_new(j, "pids", pids);
    json_object_set_new(j, "host", text_json(books_host_name(s, c->host)));
    json_object_set_new(j, "chunks", number_json(c->chunks));
    json_object_set_new(j, "used", number_json(c->used));
    json_object_set_new(j, "peak", number_json(c->peak));
    json_object_set_new(j, "command", text_json(c->command));
    json_object_set_new(j, "state", text_json(c->state));
    return j;
}

/* What a request says of itself, waiting or live. */
static json_t *request_json(const snapshot *s, const Granary__AllocationInfo *a)
{
    char user[BOOKS_USER_MAX];
    json_t *j = json_object();

    json_object_set_new(j, "id", number_json(a->id));
    json_object_set_new(j, "label", text_json(a->label));
    json_object_set_new(j, "user", text_json(books_user_name(a->uid, user)));
    json_object_set_new(j, "uid", number_json(a->uid));
    json_object_set_new(j, "pid", json_integer(books_pid_of(s, a)));
    json_object_set_new(j, "chunk_size", number_json(a->chunk_size));
    json_object_set_new(j, "min", number_json(a->min));
    json_object_set_new(j, "want", number_json(a->want));
    json_object_set_new(j, "priority", json_integer(a->priority));
    return j;
}

static json_t *claims_json(const snapshot *s, uint64_t allocation)
{
    json_t *claims = json_array();

    for (size_t i = 0; i < s->n_claims; i++)
        if (s->claims[i]->allocation == allocation)
            json_array_append_new(claims, claim_json(s, s->claims[i]));
    return claims;
}

static json_t *allocation_json(const snapshot *s, const Granary__AllocationInfo *a)
{
    json_t *j = request_json(s, a), *hosts = json_array();

    for (size_t i = 0; i < a->n_holdings; i++) {
        const Granary__HoldingInfo *h = a->holdings[i];
        json_t *e = json_object();
        json_object_set_new(e, "host", text_json(books_host_name(s, h->host)));
        json_object_set_new(e, "chunks", number_json(h->chunks));
        json_object_set_new(e, "returning", number_json(h->returning));
        json_object_set_new(e, "claimed", number_json(h->claimed));
        json_array_append_new(hosts, e);
    }
    json_object_set_new(j, "chunks", number_json(a->chunks));
    json_object_set_new(j, "state", text_json(a->state));
    json_object_set_new(j, "flags", number_json(a->flags));
    json_object_set_new(j, "age_ms", number_json(a->age_ms));
    json_object_set_new(j, "version", number_json(a->version));
    json_object_set_new(j, "hosts", hosts);
    json_object_set_new(j, "claims", claims_json(s, a->id));
    return j;
}

static json_t *waiter_json(const snapshot *s, const Granary__WaiterInfo *w)
{
    json_t *j = request_json(s, w->allocation);

    json_object_set_new(j, "place", number_json(w->place));
    json_object_set_new(j, "waiting_ms", number_json(w->waiting_ms));
    json_object_set_new(j, "reason", text_json(w->reason));
    json_object_set_new(j, "missing", number_json(w->missing));
    json_object_set_new(j, "expected_ms", w->expected_known ? number_json(w->expected_ms) : json_null());
    json_object_set_new(j, "claims", claims_json(s, w->allocation->id));
    return j;
}

static json_t *recall_json(const snapshot *s, const Granary__RecallInfo *r)
{
    json_t *j = json_object();

    json_object_set_new(j, "id", number_json(r->id));
    json_object_set_new(j, "allocation", number_json(r->allocation));
    json_object_set_new(j, "for", r->beneficiary ? number_json(r->beneficiary) : json_null());
    json_object_set_new(j, "reason", text_json(r->reason));
    json_object_set_new(j, "asked", number_json(r->asked));
    json_object_set_new(j, "released", number_json(r->released));
    json_object_set_new(j, "withdrawn", number_json(r->withdrawn));
    json_object_set_new(j, "revoked", number_json(r->revoked));
    json_object_set_new(j, "deadline_ms", number_json(r->deadline_ms));
    json_object_set_new(j, "overdue", json_boolean(r->overdue));
    json_object_set_new(j, "offered", number_json(r->offered));
    json_object_set_new(j, "preferred", number_json(r->preferred));
    json_object_set_new(j, "host", r->any_host ? json_null() : text_json(books_host_name(s, r->host)));
    return j;
}

json_t *books_json(const snapshot *s, unsigned parts)
{
    json_t *root = json_object(), *hosts = json_array(), *allocations = json_array(), *queue = json_array(),
           *recalls = json_array();

    for (size_t i = 0; i < s->n_hosts; i++)
        json_array_append_new(hosts, host_json(s->hosts[i]));
    for (size_t i = 0; i < s->n_allocations; i++)
        if (!books_is_waiting(s->allocations[i]))
            json_array_append_new(allocations, allocation_json(s, s->allocations[i]));
    for (size_t i = 0; i < s->n_queue; i++)
        if (s->queue[i]->allocation)
            json_array_append_new(queue, waiter_json(s, s->queue[i]));
    for (size_t i = 0; i < s->n_recalls; i++)
        json_array_append_new(recalls, recall_json(s, s->recalls[i]));

    json_object_set_new(root, "sequence", number_json(s->sequence));
    json_object_set_new(root, "broker", text_json(s->broker));
    json_object_set_new(root, "sessions", number_json(s->sessions));
    if (parts & BOOKS_HOSTS)
        json_object_set(root, "hosts", hosts);
    if (parts & BOOKS_ALLOCATIONS)
        json_object_set(root, "allocations", allocations);
    if (parts & BOOKS_QUEUE)
        json_object_set(root, "queue", queue);
    if (parts & BOOKS_RECALLS)
        json_object_set(root, "recalls", recalls);
    json_decref(hosts);
    json_decref(allocations);
    json_decref(queue);
    json_decref(recalls);
    return root;
}

int books_json_print(const command_call *call, json_t *root)
{
    if (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0) {
        options_say(call, "cannot print the JSON");
        json_decref(root);
        return EXIT_FAILED;
    }
    json_decref(root);
    putchar('\n');
    return books_flush(call);
}

int books_json_run(const command_call *call, unsigned parts)
{
    snapshot *s;
    int r = books_read(call, &s);

    if (r != 0)
        return r;
    json_t *root = books_json(s, parts);
    snapshot_destroy(s);
    return books_json_print(call, root);
}
