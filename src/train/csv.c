/* CSV: lines of fields, as spreadsheets write them. The text is read in place, twice: once for its
 * lines and columns, once for the numbers. Fields may stand in quotes, within which a quote is
 * doubled; a line ends at its end, also within quotes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/dataset.h"

enum { FIELD_MAX = 128 }; /* bytes of a name, or of what messages show */

typedef struct field {
    char text[FIELD_MAX]; /* without quotes and the spaces around; cut where longer */
    bool cut;
} field;

typedef struct reader {
    const char *at, *end;
    const char *what;
    char separator;
    int64_t line; /* of `at`, from 1 */
} reader;

/* The line at `at` without its end; *next is behind the end. */
static const char *line_end(const char *at, const char *end, const char **next)
{
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    *next = stop ? stop + 1 : end;
    if (!stop) stop = end;
    if (stop > at && stop[-1] == '\r') stop--;
    return stop;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_blank(const char *at, const char *end)
{
    while (at < end && is_space(*at)) at++;
    return at == end;
}

/* The next field of the line that ends at `end`; false: there is none. `*more` is whether a
 * separator stands behind it. */
static void take_field(const char **at, const char *end, char separator, field *out, bool *more)
{
    size_t bytes = 0;
    bool quoted = false, kept = false;
    const char *c = *at;
    out->cut = false;
    while (c < end && is_space(*c) && *c != separator) c++;
    for (; c < end && (quoted || *c != separator); c++) {
        if (*c == '"' && quoted && c + 1 < end && c[1] == '"') c++;
        else if (*c == '"' && (quoted || bytes == 0)) {
            quoted = !quoted;
            kept = true;
            continue;
        }
        if (bytes < FIELD_MAX - 1) out->text[bytes++] = *c;
        else out->cut = true;
    }
    while (bytes > 0 && !kept && is_space(out->text[bytes - 1])) bytes--;
    out->text[bytes] = 0;
    *more = c < end;
    *at = c < end ? c + 1 : c;
}

static bool parse_number(const field *f, double *out)
{
    const char *at = f->text;
    return !f->cut && *at && tn_number_parse(&at, out) && !*at && isfinite(*out);
}

/* ---- The first line --------------------------------------------------------------------------*/

static char find_separator(const char *at, const char *end)
{
    static const char candidate[] = {',', ';', '\t'};
    for (size_t i = 0; i < sizeof(candidate); i++)
        if (memchr(at, candidate[i], (size_t)(end - at))) return candidate[i];
    return ',';
}

/* Names of all columns: the first line's, if one of its fields is no number, else numbers. */
static tn_status read_names(reader *r, tn_arena *arena, const char ***names, int32_t *count)
{
    const char *next, *end = line_end(r->at, r->end, &next), *at = r->at;
    bool more = true, header = false;
    int64_t columns = 0, capacity = 0;
    field f;
    double value;
    *names = NULL;
    r->separator = find_separator(at, end);
    while (more) {
        take_field(&at, end, r->separator, &f, &more);
        TN_CHECK(columns < TN_TABLE_COLUMNS_MAX, TN_INVALID, "%s, line 1: more than %d columns",
                 r->what, TN_TABLE_COLUMNS_MAX);
        TN_TRY(tn_arena_grow(arena, names, columns, &capacity, columns + 1, sizeof(**names)));
        (*names)[columns] = tn_arena_text(arena, f.text, strlen(f.text));
        TN_CHECK((*names)[columns], TN_OUT_OF_MEMORY, "no memory for the names of columns");
        columns++;
        /* A field that is empty is a hole, not a name, unless another field is a name. */
        if (f.text[0] && !parse_number(&f, &value)) header = true;
    }
    *count = (int32_t)columns;
    for (int32_t i = 0; i < *count; i++) {
        if (!header) (*names)[i] = tn_arena_printf(arena, "%d", i + 1);
        TN_CHECK((*names)[i], TN_OUT_OF_MEMORY, "no memory for the names of columns");
    }
    if (header) r->at = next, r->line++;
    return NULL;
}

/* ---- Columns ---------------------------------------------------------------------------------*/

static tn_status list_names(const char *const *names, int32_t count, const char *what,
                            const char *wanted)
{
    char list[512];
    size_t used = 0;
    for (int32_t i = 0; i < count && used < sizeof(list) - FIELD_MAX - 4; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    list[used] = 0;
    TN_FAIL(TN_NOT_FOUND, "%s has no column '%s'; its %d columns are: %s", what, wanted, count,
            list);
}

/* place[k]: where column k of the file goes in the table, -1: nowhere. */
static tn_status choose(const char *const *names, int32_t count, const char *what,
                        const char *const *wanted, int wanted_count, int32_t *place)
{
    for (int32_t k = 0; k < count; k++) place[k] = wanted_count ? -1 : k;
    for (int i = 0; i < wanted_count; i++) {
        int32_t found = -1;
        TN_CHECK(wanted[i], TN_INVALID, "column %d asked for is NULL", i);
        for (int32_t k = 0; k < count && found < 0; k++)
            if (strcmp(names[k], wanted[i]) == 0) found = k;
        for (int32_t k = 0; k < count && found < 0; k++) {
            char number[16];
            snprintf(number, sizeof(number), "%d", k + 1);
            if (strcmp(number, wanted[i]) == 0) found = k;
        }
        if (found < 0) return list_names(names, count, what, wanted[i]);
        TN_CHECK(place[found] < 0, TN_INVALID, "column '%s' of %s is asked for twice", wanted[i],
                 what);
        place[found] = i;
    }
    return NULL;
}

/* ---- Rows ------------------------------------------------------------------------------------*/

static tn_status read_row(const reader *r, const char *end, const char *const *names, int32_t count,
                          const int32_t *place, double *row)
{
    const char *at = r->at;
    bool more = true;
    int32_t k = 0;
    for (; more; k++) {
        field f;
        double value = 0;
        take_field(&at, end, r->separator, &f, &more);
        if (k >= count || place[k] < 0) continue;
        TN_CHECK(
            f.text[0], TN_INVALID,
            "%s, line %lld, column '%s': the value is missing; fill it in or take the line out",
            r->what, (long long)r->line, names[k]);
        TN_CHECK(parse_number(&f, &value), TN_INVALID,
                 "%s, line %lld, column '%s': '%.60s' is not a number", r->what, (long long)r->line,
                 names[k], f.text);
        row[place[k]] = value;
    }
    TN_CHECK(k == count, TN_INVALID, "%s, line %lld: %d fields where the first line has %d",
             r->what, (long long)r->line, k, count);
    return NULL;
}

/* Lines up to the last one that is not blank. */
static int64_t count_rows(const reader *r)
{
    int64_t count = 0, last = 0;
    for (const char *at = r->at, *next; at < r->end; at = next) {
        const char *end = line_end(at, r->end, &next);
        count++;
        if (!is_blank(at, end)) last = count;
    }
    return last;
}

static tn_status open_text(const char *text, size_t bytes, const char *what, reader *out)
{
    static const char mark[] = "\xEF\xBB\xBF";
    *out = (reader){.at = text, .end = text + bytes, .what = what, .line = 1};
    TN_CHECK(bytes == 0 || !memchr(text, 0, bytes), TN_INVALID,
             "%s is not text in UTF-8: it has zero bytes. Save it as CSV in UTF-8", what);
    if (bytes >= 3 && memcmp(text, mark, 3) == 0) out->at += 3;
    TN_CHECK(!is_blank(out->at, out->end) && *out->at != '\n', TN_INVALID,
             "%s begins with nothing: a line of names or numbers is expected", what);
    return NULL;
}

tn_status tn_table_parse(const char *text, size_t bytes, const char *what,
                         const char *const *columns, int column_count, tn_arena *arena,
                         tn_table *out)
{
    reader r;
    const char **names;
    int32_t count, place[TN_TABLE_COLUMNS_MAX];
    *out = (tn_table){0};
    TN_TRY(open_text(text, bytes, what, &r));
    TN_TRY(read_names(&r, arena, &names, &count));
    TN_TRY(choose(names, count, what, columns, column_count, place));
    out->column_count = column_count ? column_count : count;
    out->row_count = count_rows(&r);
    out->name = TN_NEW_ARRAY(arena, const char *, out->column_count);
    out->value = tn_arena_alloc_array(arena, (size_t)out->row_count,
                                      (size_t)out->column_count * sizeof(double));
    TN_CHECK(out->name && out->value, TN_OUT_OF_MEMORY, "no memory for the %lld rows of %s",
             (long long)out->row_count, what);
    for (int32_t k = 0; k < count; k++)
        if (place[k] >= 0) out->name[place[k]] = names[k];
    for (int64_t i = 0; i < out->row_count; i++, r.line++) {
        const char *next, *end = line_end(r.at, r.end, &next);
        TN_TRY(read_row(&r, end, names, count, place, out->value + i * out->column_count));
        r.at = next;
    }
    return NULL;
}
