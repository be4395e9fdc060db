/*
 * text.c - versions and sentences, and the proof that the public numbers are those of the protocol.
 */
#include "base/status.h"
#include "granary.h"

#define SAME(name)                                                                                                     \
    _Static_assert((int)GRANARY_##name == (int)STATUS_##name, "GRANARY_" #name " is part of the protocol")
SAME(OK);
SAME(WAITING);
#undef SAME
#define SAME(name)                                                                                                     \
    _Static_assert((int)GRANARY_E_##name == (int)STATUS_##name, "GRANARY_E_" #name " is part of the protocol")
SAME(INVALID);
SAME(LIMIT);
SAME(NEVER);
SAME(QUOTA);
SAME(NOT_NOW);
SAME(TIMEOUT);
SAME(DENIED);
SAME(NOT_FOUND);
SAME(STATE);
SAME(STALE);
SAME(AGENT);
SAME(SILENT);
SAME(PROTOCOL);
SAME(LOST);
SAME(NO_MEMORY);
SAME(SYSTEM);
SAME(BUSY);
SAME(ENDED);
SAME(VERSION);
SAME(DEAD);
SAME(INTERRUPTED);
SAME(CLAIMED);

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

const char *granary_version(void)
{
    return TEXT_OF(GRANARY_VERSION_MAJOR) "." TEXT_OF(GRANARY_VERSION_MINOR) "." TEXT_OF(GRANARY_VERSION_PATCH);
}

const char *granary_status_text(int status)
{
    return status_text(status);
}
