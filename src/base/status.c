#include "base/status.h"

#include <stddef.h>

typedef struct {
    int status;
    const char *name;
    const char *text;
} status_row;

static const status_row rows[] = {
    {STATUS_OK, "OK", "done"},
    {STATUS_WAITING, "WAITING", "waiting in the queue"},
    {STATUS_OFFER_NONE, "OFFER_NONE", "nothing is wanted back any more"},
    {STATUS_INVALID, "INVALID", "an argument is malformed or out of range"},
    {STATUS_LIMIT, "LIMIT", "a table of the broker is full"},
    {STATUS_NEVER, "NEVER", "larger than could ever be granted here"},
    {STATUS_QUOTA, "QUOTA", "over the user's quota"},
    {STATUS_NOT_NOW, "NOT_NOW", "not free now, and the request said not to wait"},
    {STATUS_TIMEOUT, "TIMEOUT", "the time given has passed"},
    {STATUS_DENIED, "DENIED", "only the owner or the operator may do this"},
    {STATUS_NOT_FOUND, "NOT_FOUND", "there is no such allocation, claim, recall or host"},
    {STATUS_STATE, "STATE", "not possible now: more than is held, claimed or asked"},
    {STATUS_STALE, "STALE", "this answers something that is already over"},
    {STATUS_AGENT, "AGENT", "the host's agent could not carry it out"},
    {STATUS_SILENT, "SILENT", "the host is not connected"},
    {STATUS_PROTOCOL, "PROTOCOL", "a message that is malformed or not allowed here"},
    {STATUS_LOST, "LOST", "the connection to the broker, or the session, is gone"},
    {STATUS_NO_MEMORY, "NO_MEMORY", "this process could not allocate memory"},
    {STATUS_SYSTEM, "SYSTEM", "a system call failed"},
    {STATUS_BUSY, "BUSY", "too many connections or requests at once"},
    {STATUS_ENDED, "ENDED", "the allocation, claim or pool has ended"},
    {STATUS_VERSION, "VERSION", "the other side speaks another version of the protocol"},
    {STATUS_DEAD, "DEAD", "the process is dead, or is not the one that was meant"},
    {STATUS_CORRUPT, "CORRUPT", "stored data fails its checks"},
    {STATUS_INTERRUPTED, "INTERRUPTED", "the wait was interrupted"},
    {STATUS_CLAIMED, "CLAIMED", "the process is in another claim already"},
};

#define ROWS (sizeof rows / sizeof *rows)

/* A row is found by its number: the last of each side tells that none is missing. */
_Static_assert(ROWS == STATUS_OFFER_NONE + 1 - STATUS_CLAIMED, "a row for each status, in the order of their numbers");

static const status_row *row_of(int status)
{
    size_t at = status < 0 ? STATUS_OFFER_NONE - (size_t)status : (size_t)status;
    return at < ROWS && rows[at].status == status ? &rows[at] : NULL;
}

const char *status_name(int status)
{
    const status_row *row = row_of(status);
    return row ? row->name : "UNKNOWN";
}

const char *status_text(int status)
{
    const status_row *row = row_of(status);
    return row ? row->text : "an unknown status";
}
