/*
 * allocations.c - `granary allocations` and `granary queue`: who holds memory, and who waits for it.
 */
#include <stdio.h>

#include "cli/books.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/lists.h"
#include "cli/screen.h"

int allocations_run(command_call *call)
{
    bool claims = false;
    const option options[] = {
        {'c', "claims", OPTION_FLAG, &claims, NULL, "show also the claims: their processes and what they use"},
    };
    snapshot *s;
    int r = options_parse(call, options, 1, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    if (call->json)
        return books_json_run(call, BOOKS_ALLOCATIONS);
    r = books_read(call, &s);
    if (r != 0)
        return r;
    unsigned width = screen_width(stdout);
    if (lists_live_count(s) == 0)
        puts("Nobody holds memory.");
    r = lists_allocations(s, 0, width);
    if (r == 0 && claims && s->n_claims > 0) {
        putchar('\n');
        r = lists_claims(s, 0, width);
    }
    if (r == 0 && lists_open_recalls(s) > 0) {
        puts("\nAsked back:");
        r = lists_recalls(s, 0, width);
    }
    snapshot_destroy(s);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}

int queue_run(command_call *call)
{
    snapshot *s;
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    if (call->json)
        return books_json_run(call, BOOKS_QUEUE);
    r = books_read(call, &s);
    if (r != 0)
        return r;
    if (s->n_queue == 0)
        puts("Nobody waits.");
    r = lists_queue(s, 0);
    snapshot_destroy(s);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}

int snapshot_run(command_call *call)
{
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    return books_json_run(call, BOOKS_ALL);
}
