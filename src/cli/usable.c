#include "cli/usable.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/units.h"
#include "cli/exits.h"

uint64_t usable_share(const snapshot *s)
{
    uint64_t most = 0, share = 0;

    for (size_t i = 0; i < s->n_hosts; i++) {
        const Granary__HostInfo *h = s->hosts[i];
        uint64_t usable = h->total > h->set_aside ? h->total - h->set_aside : 0;
        if (usable <= most || h->cores == 0 || strcmp(h->state, "lost") == 0)
            continue;
        most = usable;
        share = usable / h->cores;
    }
    return share >= MIB(1) ? share & ~(MIB(1) - 1) : share;
}

int usable_ask(const command_call *call, uint64_t *ret_bytes)
{
    char text[SIZE_TEXT_MAX];
    snapshot *s;
    int r = books_read(call, &s);

    if (r != 0)
        return r;
    uint64_t share = usable_share(s);
    snapshot_destroy(s);
    if (share == 0) {
        options_say(call, "no -m was given, and there is no host to reckon it from");
        return EXIT_FAILED;
    }
    options_say(call, "no -m was given: taking %s, the usable memory divided by the cores", size_format(share, text));
    *ret_bytes = share;
    return 0;
}
