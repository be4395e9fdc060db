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
    char line[sizeof w->last], reason[sizeof info->reason * 2], time[DURATION_TEXT_MAX];

    text_escape(reason, sizeof reason, info->reason);
    snprintf(w->reason, sizeof w->reason, "%.*s", (int)sizeof w->reason - 1, reason);
    if (!w->terminal && !w->verbose)
        return 0;
    int n =
        snprintf(line, sizeof line, "granary: waiting, place %u%s%.160s", info->place, reason[0] ? ": " : "", reason);
    if (info->expected_ms >= 0 && n > 0 && (size_t)n < sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, "; expected in %s", duration_format((ms_t)info->expected_ms, time));
    if (strcmp(line, w->last) == 0)
        return 0;
    memcpy(w->last, line, sizeof line);
    if (w->terminal) {
        fprintf(stderr, "\r\033[K%.*s", (int)w->width - 1, line);
        w->shown = true;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    return 0;
}

void waiting_clear(waiting *w)
{
    if (w->shown)
        fputs("\r\033[K", stderr);
    w->shown = false;
}
