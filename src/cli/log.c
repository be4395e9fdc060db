/*
 * log.c - `granary log`: the broker's decisions, newest last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/books.h"
#include "cli/command.h"
#include "cli/exits.h"

#define LINES_DEFAULT 50u
#define LINE_MAX_TEXT 2048u

static int put_json(const Granary__LogLine *line)
{
    char safe[LINE_MAX_TEXT];
    json_t *root = json_object(), *text = json_string(line->text);

    if (!text) {
        text_escape(safe, sizeof safe, line->text);
        text = json_string(safe);
    }
    json_object_set_new(root, "wall_ms", json_integer((json_int_t)line->wall_ms));
    json_object_set_new(root, "level", json_string(line->level));
    json_object_set_new(root, "text", text);
    int r = json_dumpf(root, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(root);
    putchar('\n');
    return r != 0 ? STATUS_SYSTEM : 0;
}

static int put_text(const Granary__LogLine *line)
{
    char safe[LINE_MAX_TEXT], level[16], when[32] = "?";
    time_t seconds = (time_t)(line->wall_ms / 1000);
    struct tm local;

    if (localtime_r(&seconds, &local))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    text_escape(safe, sizeof safe, line->text);
    text_escape(level, sizeof level, line->level);
    printf("%s.%03u %-7s %s\n", when, (unsigned)(line->wall_ms % 1000), level, safe);
    return 0;
}

/* Each line is out at once: with --follow somebody watches. */
static int put_line(void *userdata, const Granary__LogLine *line)
{
    const command_call *call = userdata;
    int r = call->json ? put_json(line) : put_text(line);

    if (r == 0 && fflush(stdout) != 0)
        r = STATUS_SYSTEM;
    return r;
}

int log_run(command_call *call)
{
    uint32_t lines = LINES_DEFAULT;
    bool follow = false;
    const option options[] = {
        {'n', "lines", OPTION_COUNT_0, &lines, "COUNT", "how many of the last lines; 0: all that are kept (50)"},
        {'f', "follow", OPTION_FLAG, &follow, NULL, "go on with the lines that come"},
    };
    query *q;
    int r = options_parse(call, options, 2, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    r = books_open(call, &q);
    if (r != 0)
        return r;
    r = query_log(q, lines, follow, put_line, call);
    if (r < 0 && query_why(q)[0])
        options_say(call, "%s", query_why(q));
    else if (r < 0)
        options_say(call, "cannot write the output: %s", strerror(errno));
    query_close(q);
    return r < 0 ? exits_of_status(r) : books_flush(call);
}
