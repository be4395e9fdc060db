/*
 * harvest.c - `granary harvest`: its options and its inputs. What it does is in harvest/run.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/harvest.h"
#include "cli/harvest/run.h"
#include "cli/launch.h"
#include "cli/request.h"
#include "cli/usable.h"

#define MEM_MAX_TIMES 4u /* --mem-max without a value of its own, in -m */

/* The command line as it was typed. */
typedef struct {
    uint64_t memory, mem_max, timeout_ms;
    uint32_t jobs, min, retries;
    const char *input_file, *joblog, *halt, *results, *label;
    char own_label[REQUEST_LABEL_MAX], program[PATH_MAX];
    bool nul, keep_order, tag, resume, dry_run, shell, quiet;
    char **words, **inputs; /* the command's; those after ":::", NULL = none given */
    size_t n_words, n_inputs;
} harvest_line;

static uint32_t cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : (uint32_t)n > OPTIONS_JOBS_MAX ? OPTIONS_JOBS_MAX : (uint32_t)n;
}

static int line_parse(command_call *call, harvest_line *line)
{
    const option table[] = {
        {'m', "memory", OPTION_SIZE, &line->memory, "SIZE", "memory of one task: the chunk (default: usable / cores)"},
        {'j', "jobs", OPTION_JOBS, &line->jobs, "MAX", "tasks at once at most (default: the cores)"},
        {'a', "arg-file", OPTION_TEXT, &line->input_file, "FILE", "read inputs from FILE, - is standard input"},
        {'0', "null", OPTION_FLAG, &line->nul, NULL, "inputs that are read end in NUL, not newline"},
        {'k', "keep-order", OPTION_FLAG, &line->keep_order, NULL, "print in the order of the inputs"},
        {0, "tag", OPTION_FLAG, &line->tag, NULL, "put the input before each line of output"},
        {0, "mem-max", OPTION_SIZE, &line->mem_max, "SIZE", "run a task that ran out again with up to this (4 x -m)"},
        {0, "retries", OPTION_COUNT_0, &line->retries, "N", "run a task that failed up to N times more"},
        {0, "halt", OPTION_TEXT, &line->halt, "RULE", "now,fail=1 | soon,fail=N | soon,fail=20% | never"},
        {0, "timeout", OPTION_TIME, &line->timeout_ms, "TIME", "stop a task that runs longer"},
        {0, "joblog", OPTION_TEXT, &line->joblog, "FILE", "write a line for each task that ran"},
        {0, "resume", OPTION_FLAG, &line->resume, NULL, "skip what the joblog shows as done"},
        {0, "results", OPTION_TEXT, &line->results, "DIR", "keep stdout, stderr and meta of each task there"},
        {0, "shell", OPTION_FLAG, &line->shell, NULL, "run the command by sh -c, inputs quoted"},
        {0, "min", OPTION_COUNT_0, &line->min, "CHUNKS", "never give back below this (default 0)"},
        {0, "label", OPTION_TEXT, &line->label, "TEXT", "name in the books (default: the command)"},
        {0, "dry-run", OPTION_FLAG, &line->dry_run, NULL, "print the commands, run nothing"},
        {'q', "quiet", OPTION_FLAG, &line->quiet, NULL, "no progress and no sum at the end"},
    };

    return options_parse(call, table, sizeof table / sizeof *table, OPTIONS_STOP);
}

/* The words of the command, and those after ":::". */
static int line_split(const command_call *call, harvest_line *line)
{
    line->words = call->argv;
    for (int i = 0; i < call->argc; i++) {
        if (!line->inputs && strcmp(call->argv[i], "::::") == 0)
            return options_wrong(call, "'::::' is not known here: inputs of a file are read with -a FILE");
        if (strcmp(call->argv[i], ":::") != 0)
            continue;
        if (line->inputs)
            return options_wrong(call, "':::' stands twice; combinations of inputs are made by the shell or a loop");
        line->inputs = call->argv + i + 1;
        line->n_inputs = (size_t)(call->argc - i - 1);
        line->n_words = (size_t)i;
    }
    if (!line->inputs)
        line->n_words = (size_t)call->argc;
    if (line->n_words == 0 || !line->words[0][0])
        return options_wrong(call, "the command is missing: granary harvest -m 700M -- xz -k {} ::: *.tar");
    if (line->inputs && line->input_file)
        return options_wrong(call, "inputs come from ':::' or from -a, not both");
    if (line->inputs && line->nul)
        return options_wrong(call, "-0 is for inputs that are read, not for those after ':::'");
    return 0;
}

static int line_check(const command_call *call, const harvest_line *line)
{
    if (line->mem_max > 0 && line->mem_max < line->memory)
        return options_wrong(call, "--mem-max is smaller than -m");
    if (line->min > line->jobs)
        return options_wrong(call, "--min is larger than -j (%u)", line->jobs);
    if (line->resume && !line->joblog)
        return options_wrong(call, "--resume needs the --joblog of the earlier run");
    return 0;
}

static int options_make(const command_call *call, harvest_line *line, harvest_options *ret)
{
    const char *why = NULL;
    const uint64_t chunks = line->memory == 0 ? 1 : line->mem_max ? line->mem_max / line->memory : MEM_MAX_TIMES;
    harvest_options options = {
        .socket = call->socket,
        .program = line->program,
        .label = line->label ? line->label : request_label(line->words[0], line->own_label),
        .chunk_size = line->memory,
        .jobs = line->jobs,
        .min = line->min,
        .max_chunks = chunks > UINT32_MAX ? UINT32_MAX : (uint32_t)chunks,
        .retries = line->retries,
        .timeout_ms = line->timeout_ms,
        .keep_order = line->keep_order || line->dry_run,
        .tag = line->tag,
        .quiet = line->quiet,
        .dry_run = line->dry_run,
        .results_fd = -1,
    };

    if (line->halt && harvest_halt_parse(line->halt, &options.halt, &why) < 0)
        return options_wrong(call, "--halt: '%.60s' is %s", line->halt, why);
    *ret = options;
    return 0;
}

/* Can the program be run? Asked once, not for each input. A word with replacement strings is tried by exec. */
static int program_check(const command_call *call, const char *name)
{
    int error = 0;
    const int code = strchr(name, '{') ? 0 : launch_lookup(name, &error);

    if (code != 0)
        options_say(call, "%s: %s%s", name,
                    code == EXIT_NOT_FOUND && !strchr(name, '/') ? "command not found" : strerror(error),
                    strchr(name, ' ') ? " (a command line for the shell needs --shell)" : "");
    return code;
}

/* Where this program is. */
static int self_find(const command_call *call, char ret[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

    if (n < 0) {
        options_say(call, "/proc/self/exe cannot be read: %s; is /proc mounted?", strerror(errno));
        return EXIT_FAILED;
    }
    ret[n] = '\0';
    return 0;
}

static int input_open(const command_call *call, const harvest_line *line, harvest_input *ret, int *ret_fd)
{
    int fd = STDIN_FILENO;

    if (line->inputs) {
        harvest_input_words(ret, line->inputs, line->n_inputs);
        *ret_fd = -1;
        return 0;
    }
    if (line->input_file && strcmp(line->input_file, "-") != 0) {
        fd = open(line->input_file, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            options_say(call, "the inputs cannot be read: -a %s: %s", line->input_file, strerror(errno));
            return EXIT_USAGE;
        }
    } else if (isatty(STDIN_FILENO) == 1)
        options_say(call, "reading inputs from the terminal, one a line, until Ctrl-D");
    if (harvest_input_open(ret, fd, line->nul ? '\0' : '\n') < 0) {
        options_say(call, "no memory");
        return EXIT_FAILED;
    }
    *ret_fd = fd;
    return 0;
}

static int results_open(const command_call *call, const char *path, int *ret)
{
    int fd;

    if (!path)
        return 0;
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        options_say(call, "the folder of --results cannot be made: %s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        options_say(call, "--results: %s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    *ret = fd;
    return 0;
}

/* Everything is understood: opens what is needed, runs, closes. */
static int harvest_start(const command_call *call, const harvest_line *line, harvest_options *options)
{
    harvest_template template = {0};
    harvest_joblog log = {.fd = -1};
    harvest_input input = {.fd = -1};
    char why[200] = "";
    int fd = -1, code;

    code = input_open(call, line, &input, &fd);
    if (code == 0 && harvest_template_parse(line->words, line->n_words, line->shell, &template) < 0) {
        options_say(call, "no memory");
        code = EXIT_FAILED;
    }
    if (code == 0 && !options->dry_run)
        code = results_open(call, line->results, &options->results_fd);
    if (code == 0 && line->joblog && !options->dry_run &&
        harvest_joblog_open(&log, line->joblog, line->resume, why, sizeof why) < 0) {
        options_say(call, "joblog %s: %s", line->joblog, why);
        code = EXIT_USAGE;
    }
    if (code == 0)
        code = harvest_run_all(options, &input, &template, &log);
    harvest_joblog_finish(&log);
    harvest_template_finish(&template);
    harvest_input_finish(&input);
    if (options->results_fd >= 0)
        close(options->results_fd);
    if (fd > STDIN_FILENO)
        close(fd);
    return code;
}

int harvest_command(command_call *call)
{
    harvest_line line = {.jobs = cores()};
    harvest_options options = {0};
    int r = line_parse(call, &line);

    if (r != 0)
        return r - 1;
    r = line_split(call, &line);
    if (r == 0)
        r = line_check(call, &line);
    if (r == 0 && line.memory == 0 && !line.dry_run)
        r = usable_ask(call, &line.memory);
    if (r == 0)
        r = self_find(call, line.program);
    if (r == 0)
        r = options_make(call, &line, &options);
    if (r == 0 && !line.shell && !line.dry_run)
        r = program_check(call, line.words[0]);
    return r != 0 ? r : harvest_start(call, &line, &options);
}
