/*
 * now.c - prints the monotonic clock in ns, read first thing: tells when a program was started.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return 1;
    return printf("%" PRId64 "\n", (int64_t)now.tv_sec * 1000000000 + now.tv_nsec) < 0;
}
