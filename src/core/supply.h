/*
 * supply.h - what became free since the queue was last looked at, and which waiters that could help.
 *
 * A waiter that was tried and not granted need not be tried again before memory became free on a host that it accepts,
 * or something else changed that it may have lacked (supply_all). Hosts where free memory rose are kept by name, up
 * to RISEN_MAX. Waiters are indexed by the least that they need at once, in powers of two: those that need more on one
 * host than the largest free piece, or more in all than is free in all, are never looked at.
 */
#ifndef GRANARY_CORE_SUPPLY_H
#define GRANARY_CORE_SUPPLY_H

#include "core/books.h"

void supply_init(core *c);

/* Free memory of the host rose. */
void supply_rose(core *c, host *h);
/* Whatever any waiter lacked may be there now. */
void supply_all(core *c);

/* A waiter comes, in its turn; goes. */
void supply_insert(core *c, allocation *a);
void supply_remove(core *c, allocation *a);

/* A look at the queue begins: what rose until now is what it is about; what rises from now on is for the next one. */
void supply_look(core *c);
/* The look was cut short: it is all to be done again. */
void supply_look_again(core *c);
/* Could the look's news help this waiter to a chunk? */
bool supply_helps(const core *c, const allocation *a);
/* Or to a part of one? */
bool supply_frees(const core *c, const allocation *a);
/* The next waiter of this look, in turn, that is small enough for what is free now and that the news could help. */
allocation *supply_next(core *c);

/* What happens between these two is no news. */
void supply_hush(core *c);
void supply_unhush(core *c);

#endif
