/*
 * notes.h - the core's decisions as lines of the log.
 */
#ifndef GRANARY_DAEMON_NOTES_H
#define GRANARY_DAEMON_NOTES_H

#include "core/effect.h"

struct broker;

void note_write(struct broker *b, const effect_note *note);

#endif
