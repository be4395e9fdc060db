/*
 * faults.h - what goes wrong in a run, when: thrown at the start by the seed, then played.
 *
 * Sequences of a few faults on a few machines find most of what is there to find, so most runs have few of
 * them, close together, and often while something is under way (a recall, a grant, a claim that ends).
 */
#ifndef GRANARY_SIM_FAULTS_H
#define GRANARY_SIM_FAULTS_H

#include "sim.h"

typedef struct faults faults;

faults *faults_create(sim *s); /* throws the plan; jobs are in the clock from then on */
void faults_destroy(faults *f);
/* Something is under way: a fault that waits for such a moment may strike now. `what`: "recall", "grant", "closing" ...
 */
void faults_moment(faults *f, const char *what);

#endif
