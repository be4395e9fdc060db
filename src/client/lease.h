/*
 * lease.h - what plain calls tell their caller of an allocation.
 */
#ifndef GRANARY_CLIENT_LEASE_H
#define GRANARY_CLIENT_LEASE_H

#include "client/allocation.h"

/* A copy for the caller, who finishes it. STATUS_NO_MEMORY. Lock held. */
int lease_copy_out(granary_client *c, const allocation *a, granary_allocation *ret);

#endif
