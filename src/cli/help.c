#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/exits.h"

void help_commands(void)
{
    puts("\nCommands:");
    for (size_t i = 0; i < commands_count; i++)
        printf("  %-12s %s\n", commands[i].name, commands[i].summary);
    puts("\nSizes read 700M, 1.5G, 512MiB (powers of 1024). 'granary help COMMAND' tells a command's options;\n"
         "granary(1) tells the exit codes. GRANARY_SOCKET names the broker's socket when --socket does not.");
}

/* The command itself knows its options: it is asked for them. */
int help_run(command_call *call)
{
    int r = options_parse(call, NULL, 0, 0);
    if (r != 0)
        return r - 1;
    if (call->argc == 0)
        return command_main(2, (char *[]){(char[]){"granary"}, (char[]){"--help"}, NULL});
    if (call->argc > 1)
        return options_wrong(call, "takes one command's name, but got also '%.40s'", call->argv[1]);

    const command *found = command_find(call->argv[0]);
    if (!found) {
        const char *near = command_nearest(call->argv[0]);
        if (near)
            return options_wrong(call, "there is no command '%.40s'; did you mean '%s'?", call->argv[0], near);
        return options_wrong(call, "there is no command '%.40s'", call->argv[0]);
    }
    char *argv[] = {(char[]){"--help"}, NULL};
    command_call asked = {.command = found->name,
                          .usage = found->usage,
                          .about = found->summary,
                          .reads = found->reads,
                          .argc = 1,
                          .argv = argv};
    return found->run(&asked);
}
