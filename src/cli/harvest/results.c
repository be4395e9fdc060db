#include "cli/harvest/results.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

#define INPUT_PART 80

void harvest_results_name(uint64_t seq, const char *input, char ret[HARVEST_RESULTS_NAME])
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
    const int n = snprintf(ret, HARVEST_RESULTS_NAME, "%" PRIu64 "-%.*s", seq, INPUT_PART, input);

    for (int i = 0; i < n && ret[i]; i++)
        if (!strchr(safe, ret[i]))
            ret[i] = '_';
}

static int file_open(int folder, const char *name)
{
    return openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
}

static int folder_open(int folder, uint64_t seq, const char *input)
{
    char name[HARVEST_RESULTS_NAME];

    harvest_results_name(seq, input, name);
    if (mkdirat(folder, name, 0777) != 0 && errno != EEXIST)
        return -1;
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int harvest_results_open(int folder, uint64_t seq, const char *input, int *ret_out, int *ret_err)
{
    const int own = folder_open(folder, seq, input);
    int out, err, error;

    if (own < 0)
        return STATUS_SYSTEM;
    out = file_open(own, "stdout");
    err = out < 0 ? -1 : file_open(own, "stderr");
    error = errno;
    close(own);
    if (err < 0) {
        if (out >= 0)
            close(out);
        errno = error;
        return STATUS_SYSTEM;
    }
    *ret_out = out;
    *ret_err = err;
    return STATUS_OK;
}

int harvest_results_meta(int folder, uint64_t seq, const char *input, const char *text)
{
    const int own = folder_open(folder, seq, input);
    const int fd = own < 0 ? -1 : file_open(own, "meta");
    const size_t length = strlen(text);
    ssize_t written = -1;

    if (own >= 0)
        close(own);
    if (fd < 0)
        return STATUS_SYSTEM;
    do
        written = write(fd, text, length);
    while (written < 0 && errno == EINTR);
    if (close(fd) != 0 || written != (ssize_t)length)
        return STATUS_SYSTEM;
    return STATUS_OK;
}
