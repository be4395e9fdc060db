/*
 * commands.h - what a scenario may say. The table in commands.c is the language.
 */
#ifndef GRANARY_TEST_TRACE_COMMANDS_H
#define GRANARY_TEST_TRACE_COMMANDS_H

#include "words.h"
#include "world.h"

/* Does one line. Bad lines end the run. */
void command_run(world *w, words *line);

#endif
