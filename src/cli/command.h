/*
 * command.h - the table of commands: one command, one file, one row in commands.c.
 *
 * A command gets its call, reads its own options with options_parse() and returns an exit code of
 * exits.h. It prints results on stdout and everything else on stderr.
 */
#ifndef GRANARY_CLI_COMMAND_H
#define GRANARY_CLI_COMMAND_H

#include "cli/options.h"

typedef struct {
    const char *name;
    const char *usage;   /* after "granary " */
    const char *summary; /* one line, for `granary help` */
    int (*run)(command_call *call);
    bool reads; /* takes --json */
} command;

extern const command commands[];
extern const size_t commands_count;

/* The row of that name, or NULL. */
const command *command_find(const char *name);

/* The name nearest to a mistyped one, or NULL. */
const char *command_nearest(const char *name);

/* The whole program behind main(): globals, the command, its exit code. */
int command_main(int argc, char **argv);

/* Prints what the commands are, below the program's own options. */
void help_commands(void);

/* One for each row of the table. */
int up_run(command_call *call);
int run_run(command_call *call);
int claim_run(command_call *call);
int plan_run(command_call *call);
int check_run(command_call *call);
int status_run(command_call *call);
int hosts_run(command_call *call);
int allocations_run(command_call *call);
int queue_run(command_call *call);
int log_run(command_call *call);
int drain_run(command_call *call);
int undrain_run(command_call *call);
int release_run(command_call *call);
int snapshot_run(command_call *call);
int help_run(command_call *call);
int version_run(command_call *call);

#endif
