/*
 * number.h - whole numbers of a command line.
 */
#ifndef GRANARY_SIM_NUMBER_H
#define GRANARY_SIM_NUMBER_H

#include <stdint.h>

/* Decimal, without a sign, from `least` to `most`; else a sentence that names --`option`, and the end with status 2. */
uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most);

#endif
