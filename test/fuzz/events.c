/*
 * events.c - the property test of test/trace, with the fuzzer's bytes in place of random numbers.
 *
 * So the search is led by what the core has run, and every step is judged by the slow model, by the agents (I4), by
 * core_check(), by repeated requests (I12) and by the journal (I7).
 */
#include "fuzz.h"

#include "../trace/player.h"

#define STEPS 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static run r;
    player_start_with(&r, data ? data : (const uint8_t *)"", size);
    for (r.step = 1; r.step <= STEPS && r.bytes_left > 0; r.step++)
        act_randomly(&r);
    player_prove_replay(&r);
    return 0;
}
