#include <stdio.h>

#include "granary.h"

#include "cli/command.h"
#include "cli/exits.h"

#define TEXT_OF(x)  #x
#define VALUE_OF(x) TEXT_OF(x)

int version_run(command_call *call)
{
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);
    if (r != 0)
        return r - 1;
    puts("granary " VALUE_OF(GRANARY_VERSION_MAJOR) "." VALUE_OF(GRANARY_VERSION_MINOR) "." VALUE_OF(
        GRANARY_VERSION_PATCH));
    return EXIT_DONE;
}
