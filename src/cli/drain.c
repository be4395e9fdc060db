/*
 * drain.c - `granary drain`, `undrain` and `release`: what the operator asks of the broker.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/books.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/table.h"

static int drain(command_call *call, bool undrain)
{
    char name[TABLE_CELL_MAX];
    query *q;
    int r = options_parse(call, NULL, 0, 0);

    if (r != 0)
        return r - 1;
    if (call->argc != 1)
        return options_wrong(call, "needs the name of one host ('granary hosts' lists them)");
    r = books_open(call, &q);
    if (r != 0)
        return r;
    text_escape(name, sizeof name, call->argv[0]);
    r = query_drain(q, call->argv[0], undrain, NULL);
    if (r < 0)
        options_say(call, "%s: %s", name, query_why(q));
    else if (undrain)
        printf("%s takes new work again.\n", name);
    else
        printf("%s takes no new work; who may be asked gives back. 'granary hosts' tells when it is empty.\n", name);
    query_close(q);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}

int drain_run(command_call *call)
{
    return drain(call, false);
}

int undrain_run(command_call *call)
{
    return drain(call, true);
}

static bool id_parse(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long id = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || id == 0)
        return false;
    *ret = id;
    return true;
}

int release_run(command_call *call)
{
    uint32_t chunks = 0;
    const option options[] = {
        {'n', "chunks", OPTION_COUNT, &chunks, "COUNT", "how many chunks (all)"},
    };
    const Granary__Reply *reply;
    uint64_t id;
    query *q;
    int r = options_parse(call, options, 1, 0);

    if (r != 0)
        return r - 1;
    if (call->argc != 1)
        return options_wrong(call, "needs one allocation's number ('granary allocations' lists them)");
    if (!id_parse(call->argv[0], &id))
        return options_wrong(call, "'%.40s' is not the number of an allocation", call->argv[0]);
    r = books_open(call, &q);
    if (r != 0)
        return r;
    r = query_release(q, id, chunks, &reply);
    if (r == STATUS_NOT_FOUND)
        options_say(call, "there is no allocation %" PRIu64 ": it may have ended; 'granary allocations' lists them",
                    id);
    else if (r < 0)
        options_say(call, "allocation %" PRIu64 ": %s", id, query_why(q));
    else if (reply && reply->recall)
        printf("Allocation %" PRIu64 " is asked for %u %s (recall %" PRIu64 "); %s as its tasks end.\n", id,
               reply->chunks, text_plural(reply->chunks, "chunk", "chunks"), reply->recall,
               text_plural(reply->chunks, "it goes", "they go"));
    else
        printf("Allocation %" PRIu64 " was waiting: its request is taken back.\n", id);
    query_close(q);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}
