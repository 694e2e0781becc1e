/* Axes: where ticks stand and what they say. Steps are 1, 2, 2.5 or 5 times a power of ten, as
 * small as the room allows; labels have as many digits as tell neighbours apart. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/plot.h"

/* Data's range with a margin; one that is a single value gets some width. */
static void open_range(double lo, double hi, double least, tn_axis *out)
{
    if (lo > hi) lo = 0, hi = 1;
    double size = TN_MAX(fabs(lo), fabs(hi));
    if (hi - lo <= TN_MAX(size * 1e-9, least)) {
        double more = size > 0 ? size * 0.05 : 0.05;
        lo -= more;
        hi += more;
    }
    double margin = (hi - lo) * 0.05;
    *out = (tn_axis){.lo = lo - margin, .hi = hi + margin};
}

/* Points, whatever the locale has. */
static void print_label(char *out, size_t bytes, int digits, double value)
{
    if (digits < 0) snprintf(out, bytes, "%g", value);
    else snprintf(out, bytes, "%.*f", digits, value);
    char *comma = strchr(out, ',');
    if (comma) *comma = '.';
}

static double step_of(double range, int room)
{
    static const double steps[] = {1, 2, 2.5, 5, 10};
    double raw = range / room, power = pow(10, floor(log10(raw)));
    for (size_t i = 0; i < TN_COUNT(steps); i++)
        if (steps[i] * power >= raw * (1 - 1e-9)) return steps[i] * power;
    return 10 * power;
}

/* Digits behind the point that show a step in full. */
static int digits_of(double step)
{
    for (int digits = 0; digits < 12; digits++) {
        double whole = step * pow(10, digits);
        if (fabs(whole - nearbyint(whole)) < 1e-6 * whole) return digits;
    }
    return 12;
}

void tn_axis_linear(double lo, double hi, int room, tn_axis *out)
{
    open_range(lo, hi, 1e-300, out);
    double step = step_of(out->hi - out->lo, TN_MIN(TN_MAX(room, 2), TN_TICKS_MAX - 4));
    double size = TN_MAX(fabs(out->lo), fabs(out->hi));
    int power = (int)floor(log10(size));
    bool scaled = power < -4 || power > 5;
    double unit = scaled ? pow(10, power) : 1;
    int digits = digits_of(step / unit);
    if (scaled) snprintf(out->factor, sizeof(out->factor), "1e%d", power);
    double first = ceil(out->lo / step - 1e-9);
    for (int i = 0; i < TN_TICKS_MAX; i++) {
        double at = (first + i) * step;
        if (at > out->hi + step * 1e-9) break;
        tn_tick *tick = &out->tick[out->tick_count++];
        *tick = (tn_tick){.at = at, .exponent = INT_MIN};
        /* + 0.0 makes 0 of -0 */
        print_label(tick->label, sizeof(tick->label), digits,
                    (first + i == 0 ? 0.0 : at / unit) + 0.0);
    }
}

static void add_power(tn_axis *axis, int exponent)
{
    tn_tick *tick = &axis->tick[axis->tick_count++];
    *tick = (tn_tick){.at = exponent, .exponent = exponent};
    snprintf(tick->label, sizeof(tick->label), "10");
}

/* Few powers of ten alone would say too little: 2 and 5 times them do too, or all of 1 to 9. */
static void add_parts(tn_axis *axis, int exponent)
{
    bool all = axis->hi - axis->lo < 1;
    for (int part = 1; part <= 9; part++) {
        double at = exponent + log10(part);
        if (!all && part != 1 && part != 2 && part != 5) continue;
        if (at < axis->lo || at > axis->hi || axis->tick_count == TN_TICKS_MAX) continue;
        tn_tick *tick = &axis->tick[axis->tick_count++];
        *tick = (tn_tick){.at = at, .exponent = INT_MIN};
        print_label(tick->label, sizeof(tick->label), -1, part * pow(10, exponent));
    }
}

void tn_axis_log(double lo, double hi, int room, tn_axis *out)
{
    open_range(lo, hi, 1e-9, out);
    if (out->hi - out->lo < 0.5) {
        double middle = (out->lo + out->hi) / 2;
        out->lo = middle - 0.25;
        out->hi = middle + 0.25;
    }
    int first = (int)floor(out->lo), last = (int)ceil(out->hi);
    int whole = (int)floor(out->hi) - (int)ceil(out->lo) + 1;
    int every = 1;
    while (whole / every > TN_MIN(TN_MAX(room, 2), TN_TICKS_MAX - 2)) every++;
    for (int e = first; e <= last && out->tick_count < TN_TICKS_MAX; e++) {
        if (whole < 3) add_parts(out, e);
        else if (e >= out->lo && e <= out->hi && e % every == 0) add_power(out, e);
    }
}
