/*
 * study_plot.c - results as SVG: for each workload a group of bars, one for each way.
 */
#include "study.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 960, HEIGHT = 360, LEFT = 70, TOP = 40, BOTTOM = 90 };

static const char *const colours[WAYS] = {"#9ecae1", "#6baed6", "#c6dbef", "#3182bd",
                                          "#31a354", "#a1d99b", "#de2d26", "#969696"};

static const struct {
    const char *title;
    bool log;
} kinds[] = {
    [PLOT_WAIT] = {"99th percentile of the wait of firm requests, seconds (logarithmic)", true},
    [PLOT_USE] = {"memory in tasks and firm requests, percent of what may be leased", false},
    [PLOT_LOST] = {"work lost to kills, percent of the work done", false},
};

static double value_of(const run_result *r, plot_kind kind)
{
    switch (kind) {
    case PLOT_WAIT:
        return r->wait_99 / 1000;
    case PLOT_USE:
        return r->in_tasks * 100;
    case PLOT_LOST:
        return r->done_gib_s > 0 ? r->lost_gib_s / r->done_gib_s * 100 : 0;
    }
    return 0;
}

/* Height of the bar, of 1. */
static double height_of(double v, double most, bool log)
{
    if (!log)
        return most > 0 ? v / most : 0;
    double low = 0.001;
    return v <= low ? 0 : log10(v / low) / log10(most / low);
}

static double most_of(const run_result *r, size_t n, uint32_t hosts, plot_kind kind)
{
    double most = kind == PLOT_USE ? 100 : 1;
    for (size_t i = 0; i < n; i++)
        if (r[i].hosts == hosts && value_of(&r[i], kind) > most)
            most = value_of(&r[i], kind);
    return kinds[kind].log ? pow(10, ceil(log10(most))) : most;
}

static void put_axis(FILE *to, double most, bool log)
{
    double tall = HEIGHT - TOP - BOTTOM;
    for (int i = 0; i <= 4; i++) {
        double part = i / 4.0, v = log ? 0.001 * pow(most / 0.001, part) : most * part, y = TOP + tall * (1 - part);
        fprintf(to, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, WIDTH - 10, y, y);
        fprintf(to, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", LEFT - 6, y + 4, v);
    }
}

static void put_legend(FILE *to)
{
    double x = LEFT;
    for (unsigned i = 0; i < WAYS; i++) {
        fprintf(to, "<rect x=\"%.0f\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x, HEIGHT - 28, colours[i]);
        fprintf(to, "<text x=\"%.0f\" y=\"%d\">%s</text>\n", x + 16, HEIGHT - 18, way_name((study_way)i));
        x += 30 + 8 * (double)strlen(way_name((study_way)i));
    }
}

static size_t groups_of(const run_result *r, size_t n, uint32_t hosts)
{
    size_t groups = 0;
    for (size_t i = 0; i < n; i++)
        groups += r[i].hosts == hosts && (i == 0 || r[i - 1].hosts != hosts || strcmp(r[i].work, r[i - 1].work) != 0);
    return groups ? groups : 1;
}

void plot_write(FILE *to, const run_result *r, size_t n, uint32_t hosts, plot_kind kind)
{
    double most = most_of(r, n, hosts, kind), tall = HEIGHT - TOP - BOTTOM;
    double wide = (double)(WIDTH - LEFT - 10) / (double)groups_of(r, n, hosts), bar = wide / (WAYS + 1);
    int group = -1;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"22\" font-size=\"15\">%s, %u "
            "hosts</text>\n",
            WIDTH, HEIGHT, LEFT, kinds[kind].title, hosts);
    put_axis(to, most, kinds[kind].log);
    for (size_t i = 0; i < n; i++) {
        if (r[i].hosts != hosts)
            continue;
        if (i == 0 || r[i - 1].hosts != hosts || strcmp(r[i].work, r[i - 1].work) != 0) {
            group++;
            fprintf(to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", LEFT + wide * (group + 0.5),
                    HEIGHT - BOTTOM + 18, r[i].work);
        }
        double v = value_of(&r[i], kind), h = tall * height_of(v, most, kinds[kind].log);
        fprintf(to,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"><title>%s, way %s: "
                "%.3g</title></rect>\n",
                LEFT + wide * group + bar * (0.5 + r[i].way), TOP + tall - h, bar * 0.9, h, colours[r[i].way],
                r[i].work, way_name((study_way)r[i].way), v);
    }
    put_legend(to);
    fputs("</svg>\n", to);
}
