/*
 * harvest.h - the command `granary harvest`: many tasks, one for each input, as many at once as memory allows.
 */
#ifndef GRANARY_CLI_HARVEST_H
#define GRANARY_CLI_HARVEST_H

#include "cli/command.h"

int harvest_command(command_call *call);

#endif
