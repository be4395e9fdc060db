#include "cli/waiting.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/screen.h"

void waiting_init(waiting *w, bool verbose)
{
    *w = (waiting){.verbose = verbose, .width = screen_width(stderr)};
    w->terminal = w->width > 0;
}

int waiting_progress(const granary_wait_info *info, void *userdata)
{
    waiting *w = userdata;
    char line[sizeof w->last], reason[sizeof info->reason * 2], expected[DURATION_TEXT_MAX + 32] = "";
    char time[DURATION_TEXT_MAX];
    bool known = info->expected_ms >= 0;

    text_escape(reason, sizeof reason, info->reason);
    snprintf(w->reason, sizeof w->reason, "%.*s", (int)sizeof w->reason - 1, reason);
    if (!w->terminal && !w->verbose)
        return 0;
    snprintf(line, sizeof line, "granary: waiting, place %u%s%.160s", info->place, reason[0] ? ": " : "", reason);
    /* Lines are for what changes, not for a clock that runs down. */
    if (!w->terminal && known == w->known && strcmp(line, w->last) == 0)
        return 0;
    memcpy(w->last, line, sizeof line);
    w->known = known;
    if (known)
        snprintf(expected, sizeof expected, "; expected in %s", duration_format((ms_t)info->expected_ms, time));
    if (w->terminal) {
        int width = (int)w->width - 1, most = width - (int)strlen(expected);
        if (most < 0)
            fprintf(stderr, "\r\033[K%.*s", width, line);
        else
            fprintf(stderr, "\r\033[K%.*s%s", most, line, expected);
        w->shown = true;
    } else {
        fprintf(stderr, "%s%s\n", line, expected);
    }
    return 0;
}

void waiting_clear(waiting *w)
{
    if (w->shown)
        fputs("\r\033[K", stderr);
    w->shown = false;
}
