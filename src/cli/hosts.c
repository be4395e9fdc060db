/*
 * hosts.c - `granary hosts`: the ledger's columns for every host, and what enforces them.
 */
#include <stdio.h>

#include "base/text.h"
#include "cli/books.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/screen.h"
#include "cli/table.h"

static const table_column columns[] = {
    {"HOST", TABLE_LEFT},       {"STATE", TABLE_LEFT},      {"ENFORCEMENT", TABLE_LEFT}, {"CORES", TABLE_RIGHT},
    {"TOTAL", TABLE_RIGHT},     {"SET ASIDE", TABLE_RIGHT}, {"FOREIGN", TABLE_RIGHT},    {"GRANTED", TABLE_RIGHT},
    {"RETURNING", TABLE_RIGHT}, {"HELD", TABLE_RIGHT},      {"QUARANTINE", TABLE_RIGHT}, {"FREE", TABLE_RIGHT},
    {"OVERDRAFT", TABLE_RIGHT}, {"USED", TABLE_RIGHT},
};

static void add_host(table *t, const Granary__HostInfo *h)
{
    table_cell(t, "%s", h->name);
    table_cell(t, "%s", h->state);
    table_cell(t, "%s", h->enforcement);
    table_count(t, h->cores);
    const uint64_t sizes[] = {h->total, h->set_aside,  h->foreign, h->granted,   h->returning,
                              h->held,  h->quarantine, h->free,    h->overdraft, h->used};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        table_size(t, sizes[i]);
}

static void print_reason(const Granary__HostInfo *h)
{
    char name[TABLE_CELL_MAX], reason[TABLE_CELL_MAX];

    text_escape(name, sizeof name, h->name);
    if (h->enforcement_reason[0]) {
        text_escape(reason, sizeof reason, h->enforcement_reason);
        printf("%s: %s: %s\n", name, h->enforcement, reason);
    }
    if (h->labels[0]) {
        text_escape(reason, sizeof reason, h->labels);
        printf("%s: labels: %s\n", name, reason);
    }
}

int hosts_run(command_call *call)
{
    snapshot *s;
    table *t;
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    if (call->json)
        return books_json_run(call, BOOKS_HOSTS);
    r = books_read(call, &s);
    if (r != 0)
        return r;
    r = table_create(&t, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; r == 0 && i < s->n_hosts; i++)
        add_host(t, s->hosts[i]);
    if (r == 0) {
        r = table_print_whole(t, stdout, screen_width(stdout));
        table_destroy(t);
    }
    if (s->n_hosts == 0)
        puts("No host is known yet: no agent has connected.");
    for (size_t i = 0; i < s->n_hosts; i++)
        print_reason(s->hosts[i]);
    snapshot_destroy(s);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}
