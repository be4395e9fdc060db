#include "cli/exits.h"

#include <signal.h>

#include "base/status.h"

int exits_of_status(int status)
{
    switch (status) {
    case STATUS_OK:
        return EXIT_DONE;
    case STATUS_INVALID:
        return EXIT_USAGE;
    case STATUS_NEVER:
    case STATUS_QUOTA:
        return EXIT_NEVER;
    case STATUS_NOT_NOW:
        return EXIT_NOT_NOW;
    case STATUS_TIMEOUT:
        return EXIT_TIMED_OUT;
    case STATUS_DENIED:
        return EXIT_DENIED;
    case STATUS_NOT_FOUND:
    case STATUS_STATE:
    case STATUS_STALE:
    case STATUS_ENDED:
    case STATUS_DEAD:
    case STATUS_CLAIMED:
        return EXIT_NO;
    case STATUS_LOST:
        return EXIT_NO_BROKER;
    case STATUS_INTERRUPTED:
        return EXIT_SIGNALLED + SIGINT;
    default:
        return EXIT_FAILED;
    }
}
