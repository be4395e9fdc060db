/*
 * commands.c - the rows, and the way from argv to a command.
 *
 * `granary [--socket PATH] [--json] COMMAND …`: the globals may also stand among the command's own options.
 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/exits.h"
#include "cli/harvest.h"
#include "cli/harvest/spawn.h"
#include "cli/nearest.h"

const command commands[] = {
    {"up", "up [--memory SIZE] [--set-aside SIZE] [--state DIR] [--config FILE] [--detach [--log FILE]]",
     "start a broker for this machine", up_run, false},
    {"run", "run [-m SIZE] [options] [--] COMMAND [ARGUMENT …]", "one command inside a lease; waits its turn", run_run,
     false},
    {"harvest", "harvest [-m SIZE] [-j MAX] [options] [--] COMMAND {} … [::: INPUT …]",
     "many tasks, as many at once as memory allows", harvest_command, false},
    {"claim", "claim --pid PID [-m SIZE] [options]", "take a running program into the books", claim_run, false},
    {"status", "status [--json]", "where the memory is, who holds it, and who waits", status_run, true},
    {"hosts", "hosts [--json]", "the books of every host", hosts_run, true},
    {"allocations", "allocations [--claims] [--json]", "who holds memory", allocations_run, true},
    {"queue", "queue [--json]", "who waits, and why", queue_run, true},
    {"plan", "plan [-m SIZE] [-n CHUNKS | -j MAX] [options] [COMMAND …]", "would this be granted now, and else when",
     plan_run, true},
    {"log", "log [-n COUNT] [--follow] [--json]", "what the broker decided", log_run, true},
    {"drain", "drain HOST", "move everybody off a host, politely", drain_run, false},
    {"undrain", "undrain HOST", "let a drained host take work again", undrain_run, false},
    {"release", "release ID [--chunks COUNT]", "ask an allocation to give chunks back", release_run, false},
    {"snapshot", "snapshot", "the whole books as JSON", snapshot_run, true},
    {"check", "check [--json]", "books against reality", check_run, true},
    {"help", "help [COMMAND]", "what the commands are and take", help_run, false},
    {"version", "version", "the version of this program", version_run, false},
};
const size_t commands_count = sizeof commands / sizeof *commands;

const command *command_find(const char *name)
{
    for (size_t i = 0; i < commands_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *best = NULL;
    for (size_t i = 0; i < commands_count; i++)
        best = nearest_of(name, best, commands[i].name);
    return best;
}

static int unknown_command(const char *name)
{
    const char *near = command_nearest(name);

    fprintf(stderr, "granary: there is no command '%.40s'", name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fprintf(stderr, "\nTry 'granary help'.\n");
    return EXIT_USAGE;
}

/* Reads the options before the command's name: they are few, and a command's own parser would not know its table yet.
 */
int command_main(int argc, char **argv)
{
    command_call call = {.command = "help",
                         .usage = "[--socket PATH] [--json] COMMAND …",
                         .about = "Lease memory in chunks, and give it back politely."};
    bool version = false;
    const option globals[] = {
        {'V', "version", OPTION_FLAG, &version, NULL, "print the version"},
    };

    if (argc > 2 && strcmp(argv[1], "exec-task") == 0)
        harvest_exec(argv + 2); /* for granary-gate alone: see src/gate/gate.c */
    call.reads = true;
    call.argc = argc > 0 ? argc - 1 : 0;
    call.argv = argv + (argc > 0);
    int r = options_parse(&call, globals, 1, OPTIONS_STOP);
    if (r == EXIT_DONE + 1)
        help_commands();
    if (r != 0)
        return r - 1;
    if (version)
        return version_run(&call);
    if (call.argc == 0) {
        help_run(&call);
        return EXIT_USAGE;
    }

    const command *found = command_find(call.argv[0]);
    if (!found)
        return unknown_command(call.argv[0]);
    call.command = found->name;
    call.usage = found->usage;
    call.about = found->summary;
    call.reads = found->reads;
    call.argc--;
    call.argv++;
    if (call.json && !call.reads)
        return options_wrong(&call, "has no --json");
    return found->run(&call);
}
