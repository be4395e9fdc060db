#include "cli/nearest.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table are enough: a swap looks two rows back. */
size_t nearest_distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_WORD_MAX];
    size_t n = strlen(a), m = strlen(b);

    if (n >= NEAREST_WORD_MAX || m >= NEAREST_WORD_MAX)
        return NEAREST_WORD_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(up[j] + 1, now[j - 1] + 1);
            now[j] = least(now[j], up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], up2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *nearest_of(const char *word, const char *best, const char *candidate)
{
    size_t length = strlen(word);
    size_t edits = nearest_distance(word, candidate);

    if (length >= 2 && strncmp(word, candidate, length) == 0)
        edits = 0;
    if (edits > (length <= 3 ? 1 : 1 + length / 4))
        return best;
    if (best) {
        size_t old = length >= 2 && strncmp(word, best, length) == 0 ? 0 : nearest_distance(word, best);
        if (old <= edits)
            return best;
    }
    return candidate;
}
