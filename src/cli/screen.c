#include "cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

unsigned screen_width(FILE *file)
{
    struct winsize size;
    int fd = fileno(file);

    if (!isatty(fd))
        return 0;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 80;
    return size.ws_col;
}

char *screen_bar(char to[SCREEN_BAR_MAX + 3], const screen_part *parts, size_t n, uint64_t total, unsigned width)
{
    unsigned used = 0;
    double sum = 0;

    if (width > SCREEN_BAR_MAX)
        width = SCREEN_BAR_MAX;
    to[0] = '[';
    for (size_t i = 0; i < n && total > 0; i++) {
        sum += (double)parts[i].bytes;
        double exact = sum / (double)total * width + 0.5;
        unsigned end = exact >= width ? width : (unsigned)exact;
        if (parts[i].bytes > 0 && end <= used && used < width)
            end = used + 1;
        while (used < end)
            to[1 + used++] = parts[i].mark;
    }
    while (used < width)
        to[1 + used++] = ' ';
    to[1 + width] = ']';
    to[2 + width] = '\0';
    return to;
}
