#include "cli/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/exits.h"

size_t request_table(request_options *r, option *table)
{
    const option rows[REQUEST_OPTIONS] = {
        {'m', "memory", OPTION_SIZE, &r->chunk_size, "SIZE", "memory of one chunk (usable memory / cores)"},
        {'n', "chunks", OPTION_COUNT, &r->chunks, "COUNT", "how many chunks (1)"},
        {'l', "label", OPTION_TEXT, &r->label, "TEXT", "its name in the books (the command's)"},
        {'p', "priority", OPTION_INTEGER, &r->priority, "NUMBER", "higher goes first; above 0 for the operator only"},
        {0, "hosts", OPTION_TEXT, &r->hosts, "FILTER", "only these hosts: name,!name,label,key=value"},
    };

    memcpy(table, rows, sizeof rows);
    return REQUEST_OPTIONS;
}

size_t request_wait_table(request_options *r, option *table)
{
    const option rows[REQUEST_WAIT_OPTIONS] = {
        {0, "now", OPTION_FLAG, &r->now, NULL, "fail rather than wait when it is not free"},
        {'t', "timeout", OPTION_TIME, &r->timeout_ms, "TIME", "wait at most so long for memory (for ever)"},
    };

    memcpy(table, rows, sizeof rows);
    return REQUEST_WAIT_OPTIONS;
}

char *request_label(const char *command, char to[REQUEST_LABEL_MAX])
{
    const char *begin = command + strspn(command, " \t\n");
    char *program = strndup(begin, strcspn(begin, " \t\n"));
    const char *slash = program ? strrchr(program, '/') : NULL;

    text_escape(to, REQUEST_LABEL_MAX, slash && slash[1] ? slash + 1 : program ? program : "");
    if (!to[0])
        text_copy(to, REQUEST_LABEL_MAX, "command");
    free(program);
    return to;
}

void request_fill(request_options *r, const char *command, granary_request *ret)
{
    *ret = (granary_request){
        .label = r->label ? r->label : request_label(command, r->own_label),
        .chunk_size = r->chunk_size,
        .want = r->chunks ? r->chunks : 1,
        .min = r->chunks ? r->chunks : 1,
        .flags = r->now ? GRANARY_NO_WAIT : 0,
        .priority = r->priority,
        .wait_ms = (int64_t)r->timeout_ms,
        .hosts = r->hosts,
    };
}

const char *request_why(const request_options *r, int status, const char *why)
{
    if (status == GRANARY_E_DENIED && r->priority > 0)
        return "a --priority above 0 is for the operator (root, or the broker's own user): leave it out, or give less";
    return why[0] ? why : granary_status_text(status);
}

int request_no_broker(const command_call *call, int status)
{
    char safe[512];
    const char *why = granary_client_error(NULL);

    text_escape(safe, sizeof safe, why[0] ? why : granary_status_text(status));
    options_say(call, "%s", safe);
    return exits_of_status(status);
}
