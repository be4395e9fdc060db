#include "cli/lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "cli/books.h"
#include "cli/table.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* Prints and destroys. */
static int finish(table *t, unsigned indent, unsigned width)
{
    int r = table_print(t, stdout, indent, width);
    table_destroy(t);
    return r;
}

size_t lists_live_count(const snapshot *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_allocations; i++)
        n += !books_is_waiting(s->allocations[i]);
    return n;
}

static void add_holdings(table *t, const snapshot *s, const Granary__AllocationInfo *a)
{
    char text[TABLE_CELL_MAX] = "-";
    size_t used = 0;

    for (size_t i = 0; i < a->n_holdings && used < sizeof text; i++) {
        const Granary__HoldingInfo *h = a->holdings[i];
        int n =
            snprintf(text + used, sizeof text - used, "%s%s:%u", i ? " " : "", books_host_name(s, h->host), h->chunks);
        used += n > 0 ? (size_t)n : 0;
        if (h->returning && used < sizeof text) {
            n = snprintf(text + used, sizeof text - used, " (+%u returning)", h->returning);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    table_cell(t, "%s", text);
}

int lists_allocations(const snapshot *s, unsigned indent, unsigned width)
{
    static const table_column columns[] = {
        {"ID", TABLE_RIGHT},     {"LABEL", TABLE_LEFT}, {"USER", TABLE_LEFT},  {"PID", TABLE_RIGHT},
        {"CHUNK", TABLE_RIGHT},  {"HAS", TABLE_RIGHT},  {"WANT", TABLE_RIGHT}, {"FIRM", TABLE_RIGHT},
        {"MEMORY", TABLE_RIGHT}, {"USED", TABLE_RIGHT}, {"PEAK", TABLE_RIGHT}, {"AGE", TABLE_RIGHT},
        {"HOSTS", TABLE_LEFT},
    };
    char user[BOOKS_USER_MAX], age[DURATION_TEXT_MAX];
    uint64_t used, peak;
    table *t;
    int r = table_create(&t, columns, COUNT_OF(columns));

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_allocations; i++) {
        const Granary__AllocationInfo *a = s->allocations[i];
        if (books_is_waiting(a))
            continue;
        books_use_of(s, a->id, &used, &peak);
        table_count(t, a->id);
        table_cell(t, "%s%s", a->label, strcmp(a->state, "ending") == 0 ? " (ending)" : "");
        table_cell(t, "%s", books_user_name(a->uid, user));
        int32_t pid = books_pid_of(s, a);
        if (pid)
            table_cell(t, "%d", pid);
        else
            table_cell(t, "-"); /* not told yet, or of another pid namespace */
        table_size(t, a->chunk_size);
        table_count(t, a->chunks);
        table_count(t, a->want);
        table_count(t, a->min);
        table_size(t, a->chunk_size * a->chunks);
        table_size(t, used);
        table_size(t, peak);
        table_cell(t, "%s", duration_format(a->age_ms, age));
        add_holdings(t, s, a);
    }
    return finish(t, indent, width);
}

static void add_pids(table *t, const Granary__ClaimInfo *c)
{
    char text[TABLE_CELL_MAX] = "-";
    size_t used = 0;

    for (size_t i = 0; i < c->n_pids && used < sizeof text - 16; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i ? "," : "", c->pids[i]);
    table_cell(t, "%s", text);
}

int lists_claims(const snapshot *s, unsigned indent, unsigned width)
{
    static const table_column columns[] = {
        {"CLAIM", TABLE_RIGHT}, {"ALLOCATION", TABLE_RIGHT}, {"HOST", TABLE_LEFT},
        {"STATE", TABLE_LEFT},  {"CHUNKS", TABLE_RIGHT},     {"USED", TABLE_RIGHT},
        {"PEAK", TABLE_RIGHT},  {"PIDS", TABLE_LEFT},        {"COMMAND", TABLE_LEFT},
    };
    table *t;
    int r = table_create(&t, columns, COUNT_OF(columns));

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_claims; i++) {
        const Granary__ClaimInfo *c = s->claims[i];
        table_count(t, c->id);
        table_count(t, c->allocation);
        table_cell(t, "%s", books_host_name(s, c->host));
        table_cell(t, "%s", c->state);
        table_count(t, c->chunks);
        table_size(t, c->used);
        table_size(t, c->peak);
        add_pids(t, c);
        table_cell(t, "%s", c->command);
    }
    return finish(t, indent, width);
}

static void add_reason(table *t, const Granary__WaiterInfo *w)
{
    char size[SIZE_TEXT_MAX], missing[SIZE_TEXT_MAX + 16] = "", time[DURATION_TEXT_MAX],
                                                      expected[DURATION_TEXT_MAX + 32] = "";

    if (w->missing)
        snprintf(missing, sizeof missing, "; %s is missing", size_format(w->missing, size));
    if (w->expected_known)
        snprintf(expected, sizeof expected, "; expected in %s", duration_format(w->expected_ms, time));
    table_cell(t, "%s%s%s", w->reason, missing, expected);
}

/* Never cut: the reason is what people look for, and it stands last. */
int lists_queue(const snapshot *s, unsigned indent)
{
    static const table_column columns[] = {
        {"PLACE", TABLE_RIGHT},   {"ID", TABLE_RIGHT},      {"LABEL", TABLE_LEFT}, {"USER", TABLE_LEFT},
        {"ASKS FOR", TABLE_LEFT}, {"WAITING", TABLE_RIGHT}, {"WHY", TABLE_LEFT},
    };
    char user[BOOKS_USER_MAX], size[SIZE_TEXT_MAX], time[DURATION_TEXT_MAX];
    table *t;
    int r = table_create(&t, columns, COUNT_OF(columns));

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_queue; i++) {
        const Granary__WaiterInfo *w = s->queue[i];
        const Granary__AllocationInfo *a = w->allocation;
        if (!a)
            continue;
        table_count(t, w->place);
        table_count(t, a->id);
        table_cell(t, "%s", a->label);
        table_cell(t, "%s", books_user_name(a->uid, user));
        size_format(a->chunk_size, size);
        if (a->min < a->want)
            table_cell(t, "%u to %u x %s", a->min, a->want, size);
        else
            table_cell(t, "%u x %s", a->want, size);
        table_cell(t, "%s", duration_format(w->waiting_ms, time));
        add_reason(t, w);
    }
    return finish(t, indent, 0);
}

uint64_t lists_recall_open(const Granary__RecallInfo *recall)
{
    uint64_t answered = (uint64_t)recall->released + recall->withdrawn + recall->revoked;
    return answered < recall->asked ? recall->asked - answered : 0;
}

size_t lists_open_recalls(const snapshot *s)
{
    size_t open = 0;
    for (size_t i = 0; i < s->n_recalls; i++)
        open += lists_recall_open(s->recalls[i]) > 0;
    return open;
}

int lists_recalls(const snapshot *s, unsigned indent, unsigned width)
{
    static const table_column columns[] = {
        {"RECALL", TABLE_RIGHT},    {"FROM", TABLE_RIGHT},    {"FOR", TABLE_RIGHT},
        {"WHY", TABLE_LEFT},        {"ASKED", TABLE_RIGHT},   {"RELEASED", TABLE_RIGHT},
        {"WITHDRAWN", TABLE_RIGHT}, {"REVOKED", TABLE_RIGHT}, {"DUE", TABLE_LEFT},
    };
    char time[DURATION_TEXT_MAX];
    table *t;
    int r = table_create(&t, columns, COUNT_OF(columns));

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_recalls; i++) {
        const Granary__RecallInfo *c = s->recalls[i];
        if (lists_recall_open(c) == 0)
            continue;
        table_count(t, c->id);
        table_count(t, c->allocation);
        if (c->beneficiary)
            table_count(t, c->beneficiary);
        else
            table_cell(t, "-");
        table_cell(t, "%s", c->reason);
        table_count(t, c->asked);
        table_count(t, c->released);
        table_count(t, c->withdrawn);
        table_count(t, c->revoked);
        table_cell(t, "%s%s", c->overdue ? "overdue" : "in ", c->overdue ? "" : duration_format(c->deadline_ms, time));
    }
    return finish(t, indent, width);
}
