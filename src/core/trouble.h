/*
 * trouble.h - hosts that need memory back for their own sake: draining, or overdrawn.
 */
#ifndef GRANARY_CORE_TROUBLE_H
#define GRANARY_CORE_TROUBLE_H

#include "core/books.h"

/* The host is to be looked at in this step's settling. */
void trouble_mark(core *c, host *h);
/* Makes the recalls that are missing, withdraws those whose reason is over. False: stopped for lack of room. */
bool trouble_settle(core *c);

#endif
