#include "cli/harvest/advice.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"
#include "base/text.h"

/* Tasks that would run at once in chunks of this size. */
static uint64_t at_once(const harvest_seen *seen, uint64_t chunk_size)
{
    unsigned __int128 most = (unsigned __int128)seen->most_held * seen->chunk_size / chunk_size;

    most = most < seen->jobs ? most : seen->jobs;
    most = most < seen->tasks ? most : seen->tasks;
    return most > 0 ? (uint64_t)most : 1;
}

/* The line for tasks that need larger chunks; "" when these are large enough. */
static void larger(const harvest_seen *seen, uint64_t better, char to[HARVEST_ADVICE_MAX])
{
    const uint64_t near = seen->chunk_size - seen->chunk_size / 100 * HARVEST_ADVICE_NEAR;
    char size[SIZE_TEXT_MAX];

    size_format(better, size);
    if (seen->died > 0)
        (void)snprintf(to, HARVEST_ADVICE_MAX,
                       "%" PRIu64 " %s died of the limit and ran again with more: -m %s would hold all, %" PRIu64
                       " at once",
                       seen->died, text_plural(seen->died, "attempt", "attempts"), size, at_once(seen, better));
    else if (seen->above > 0)
        (void)snprintf(to, HARVEST_ADVICE_MAX,
                       "%" PRIu64 " %s more than was leased, which is only measured here: lease it with -m %s",
                       seen->above, text_plural(seen->above, "task used", "tasks used"), size);
    else if (seen->peaks->max >= near)
        (void)snprintf(to, HARVEST_ADVICE_MAX, "the largest came within %u %% of its limit: -m %s leaves room",
                       HARVEST_ADVICE_NEAR, size);
}

char *harvest_advice(const harvest_seen *seen, char to[HARVEST_ADVICE_MAX])
{
    const uint64_t better = harvest_peaks_chunk(seen->peaks);
    char size[SIZE_TEXT_MAX], with[SIZE_TEXT_MAX];

    to[0] = '\0';
    if (seen->failed > 0) {
        const uint64_t more = seen->died_with <= UINT64_MAX / 2 ? seen->died_with * 2 : UINT64_MAX;
        (void)snprintf(to, HARVEST_ADVICE_MAX, "%" PRIu64 " %s out of memory with %s: try --mem-max %s", seen->failed,
                       text_plural(seen->failed, "task ran", "tasks ran"), size_format(seen->died_with, with),
                       size_format(more, size));
    } else if (better > seen->chunk_size) {
        larger(seen, better, to);
    } else if (better > 0 && better < seen->chunk_size) {
        const uint64_t now = at_once(seen, seen->chunk_size), then = at_once(seen, better);
        if (then > now)
            (void)snprintf(to, HARVEST_ADVICE_MAX,
                           "with -m %s %" PRIu64 " tasks would run at once in that memory, instead of %" PRIu64,
                           size_format(better, size), then, now);
    }
    return to;
}
