/*
 * requests.h - the part of the language that clients speak, one function for each command.
 */
#ifndef GRANARY_TEST_TRACE_REQUESTS_H
#define GRANARY_TEST_TRACE_REQUESTS_H

#include "words.h"
#include "world.h"

/* Names in a line. A name that is unknown ends the run. */
host_id line_host(world *w, words *line);
trace_session *line_session(world *w, words *line);
trace_allocation *line_allocation(world *w, words *line);
generation line_claim(words *line);

void do_again(world *w, words *line);
void do_alloc(world *w, words *line);
void do_cancel(world *w, words *line);
void do_claim(world *w, words *line);
void do_close(world *w, words *line);
void do_drain(world *w, words *line);
void do_empty(world *w, words *line);
void do_enter(world *w, words *line);
void do_offer(world *w, words *line);
void do_outcome(world *w, words *line);
void do_plan(world *w, words *line);
void do_release(world *w, words *line);
void do_release_foreign(world *w, words *line);
void do_release_n(world *w, words *line);
void do_shrink(world *w, words *line);
void do_transfer(world *w, words *line);
void do_undrain(world *w, words *line);
void do_want(world *w, words *line);

#endif
