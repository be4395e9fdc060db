/* cache.c - nothing uses its chunks itself yet. */
#include "client/cache.h"
void caches_tick(granary_client *c, ms_t now)
{
    (void)c;
    (void)now;
}
ms_t caches_deadline(const granary_client *c)
{
    (void)c;
    return MS_NEVER;
}
void caches_call(granary_client *c)
{
    (void)c;
}
