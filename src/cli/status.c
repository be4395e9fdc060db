/*
 * status.c - `granary status`: one screen that answers "where is the memory" and "why does my request wait".
 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/books.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/lists.h"
#include "cli/screen.h"
#include "cli/table.h"

#define BAR_WIDTH 50u

/* The columns that are not granted, each with the reason that a person can act on. */
static void print_unsold(const Granary__HostInfo *h)
{
    const struct {
        uint64_t bytes;
        const char *name, *why;
    } rows[] = {
        {h->set_aside, "set aside", "kept by the machine's owner"},
        {h->foreign, "foreign", "used by programs without a claim, beyond what is set aside"},
        {h->returning, "returning", "released; not yet seen empty"},
        {h->held, "held", "freed for a request that waits"},
        {h->quarantine, "quarantined", "a claim's processes or memory would not go"},
        {h->free, "free", "may be granted"},
        {h->overdraft, "overdraft", "missing: foreign memory rose after the grants"},
    };
    char size[SIZE_TEXT_MAX], why[TABLE_CELL_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].bytes)
            printf("  %-12s %8s  %s\n", rows[i].name, size_format(rows[i].bytes, size), rows[i].why);
    if (h->stranded) {
        text_escape(why, sizeof why, h->stranded_reason);
        printf("  %-12s %8s  of the free memory no waiting request can use it: %s\n", "stranded",
               size_format(h->stranded, size), why[0] ? why : "too small a piece");
    }
}

static void print_bar(const Granary__HostInfo *h)
{
    uint64_t used = h->used < h->granted ? h->used : h->granted;
    const screen_part parts[] = {
        {used, '#'},    {h->granted - used, '='}, {h->returning + h->quarantine, '~'},
        {h->held, '+'}, {h->foreign, 'x'},        {h->set_aside, '.'},
    };
    char bar[SCREEN_BAR_MAX + 3];

    printf("  %s\n", screen_bar(bar, parts, sizeof parts / sizeof *parts, h->total, BAR_WIDTH));
    puts("   # used  = granted, unused  ~ returning, quarantined  + held  x foreign  . set aside");
}

static void print_host(const Granary__HostInfo *h, bool bar)
{
    char name[TABLE_CELL_MAX], reason[TABLE_CELL_MAX], total[SIZE_TEXT_MAX], granted[SIZE_TEXT_MAX],
        used[SIZE_TEXT_MAX];

    text_escape(name, sizeof name, h->name);
    text_escape(reason, sizeof reason, h->enforcement_reason);
    bool limited = strcmp(h->enforcement, "watch") != 0;
    printf("%s: %s, %u %s, %s%s%s%s\n", name, h->state, h->cores, text_plural(h->cores, "core", "cores"),
           limited ? "limits by " : "measured, not limited", limited ? h->enforcement : "", reason[0] ? ": " : "",
           reason);
    printf("  %-12s %8s  of %s; %s of it used now\n", "granted", h->granted ? size_format(h->granted, granted) : "0",
           size_format(h->total, total), h->used ? size_format(h->used, used) : "0");
    print_unsold(h);
    if (bar)
        print_bar(h);
}

static int print_lists(const snapshot *s, unsigned width)
{
    size_t live = lists_live_count(s);
    int r = 0;

    printf("\nHolding memory: %s", live ? "" : "nobody\n");
    if (live) {
        printf("%zu\n", live);
        r = lists_allocations(s, 2, width);
    }
    if (r < 0)
        return r;
    printf("\nWaiting: %s", s->n_queue ? "" : "nobody\n");
    if (s->n_queue) {
        printf("%zu\n", s->n_queue);
        r = lists_queue(s, 2);
    }
    size_t recalls = lists_open_recalls(s);
    if (r == 0 && recalls) {
        printf("\nAsked back: %zu\n", recalls);
        r = lists_recalls(s, 2, width);
    }
    return r;
}

int status_run(command_call *call)
{
    snapshot *s;
    char broker[TABLE_CELL_MAX];
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    if (call->json)
        return books_json_run(call, BOOKS_ALL);
    r = books_read(call, &s);
    if (r != 0)
        return r;
    unsigned width = screen_width(stdout);
    text_escape(broker, sizeof broker, s->broker);
    if (broker[0])
        printf("Broker: %s\n\n", broker);
    if (s->n_hosts == 0)
        puts("No host is known yet: no agent has connected.");
    for (size_t i = 0; i < s->n_hosts; i++)
        print_host(s->hosts[i], width >= BAR_WIDTH + 4);
    r = print_lists(s, width);
    snapshot_destroy(s);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}
