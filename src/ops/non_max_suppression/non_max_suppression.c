/* NonMaxSuppression-11: for each image and class, the boxes in falling order of score (of equals
 * the one in front first), without those that overlap one taken before by more than iou_threshold,
 * without those whose score is not above score_threshold, at most max_output_boxes_per_class. Rows
 * [image, class, box].
 *
 * Areas are worked in float, as boxes and threshold come: an overlap of just the threshold is kept.
 */
#include "ops/non_max_suppression/non_max_suppression.h"

#include "ops/moving.h"
#include "ops/sorting.h"
#include "ops/wide/wide.h"

enum { BOXES, SCORES, MAX_OUTPUT, IOU, SCORE };

static const tn_field fields[] = {
    TN_INT(tn_nms_params, center_point_box, 0),
};
static const tn_port ins[] = {
    {"boxes", TN_DT(F32), 0, 0},
    {"scores", TN_DT(F32), 0, 0},
    {"max_output_boxes_per_class", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
    {"iou_threshold", TN_DT(F32), 0, TN_PORT_OPTIONAL},
    {"score_threshold", TN_DT(F32), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"selected_indices", TN_DT(I64), 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_nms_params *params = params_out;
    (void)node;
    TN_CHECK(params->center_point_box == 0 || params->center_point_box == 1, TN_INVALID,
             "center_point_box is %lld; it must be 0 or 1", (long long)params->center_point_box);
    return NULL;
}

typedef struct box {
    float low[2], high[2];
} box;

static box box_of(const float *at, bool centered)
{
    if (centered) {
        float half_w = at[2] / 2, half_h = at[3] / 2;
        return (box){{at[0] - half_w, at[1] - half_h}, {at[0] + half_w, at[1] + half_h}};
    }
    return (box){{TN_MIN(at[0], at[2]), TN_MIN(at[1], at[3])},
                 {TN_MAX(at[0], at[2]), TN_MAX(at[1], at[3])}};
}

static bool overlaps(const box *a, const box *b, float threshold)
{
    float side[2], area_a, area_b;
    for (int i = 0; i < 2; i++) {
        side[i] = TN_MIN(a->high[i], b->high[i]) - TN_MAX(a->low[i], b->low[i]);
        if (!(side[i] > 0)) return false;
    }
    float shared = side[0] * side[1];
    area_a = (a->high[0] - a->low[0]) * (a->high[1] - a->low[1]);
    area_b = (b->high[0] - b->low[0]) * (b->high[1] - b->low[1]);
    float all = area_a + area_b - shared;
    if (!(shared > 0) || !(area_a > 0) || !(area_b > 0) || !(all > 0)) return false;
    return shared / all > threshold;
}

/* The choice for all images and classes. */
typedef struct choice {
    const float *boxes, *scores;
    int64_t images, classes, count, most;
    float iou, score;
    bool centered, has_score;
    int64_t *order, *spare, *taken; /* `count` each */
} choice;

static int compare(const void *self, int64_t a, int64_t b)
{
    const float *score = self;
    return (score[a] < score[b]) - (score[a] > score[b]);
}

static const tn_tensor *given(const tn_tensor *in, int in_count, int index)
{
    bool there =
        index < in_count && in[index].dtype != TN_DTYPE_NONE && tn_tensor_count(&in[index]) > 0;
    return there ? &in[index] : NULL;
}

static choice choice_of(const tn_nms_params *params, const tn_tensor *in, int in_count)
{
    const tn_tensor *most = given(in, in_count, MAX_OUTPUT), *iou = given(in, in_count, IOU);
    const tn_tensor *score = given(in, in_count, SCORE);
    choice c = {.boxes = in[BOXES].data,
                .scores = in[SCORES].data,
                .images = in[SCORES].dim[0],
                .classes = in[SCORES].dim[1],
                .count = in[SCORES].dim[2],
                .centered = params->center_point_box};
    if (most) c.most = tn_load_i64(most->dtype, most->data, 0);
    if (iou) c.iou = *(const float *)iou->data;
    if (score) c.score = *(const float *)score->data;
    c.has_score = score != NULL;
    return c;
}

/* Fills taken[] for one class of one image; returns how many. */
static int64_t choose(const choice *c, int64_t image, int64_t class)
{
    const float *score = c->scores + (image * c->classes + class) * c->count;
    const float *boxes = c->boxes + image * c->count * 4;
    int64_t candidates = 0, taken = 0;
    for (int64_t i = 0; i < c->count; i++)
        if (!c->has_score || score[i] > c->score) c->order[candidates++] = i;
    tn_sort_indices(c->order, c->spare, candidates, compare, score);
    for (int64_t i = 0; i < candidates && taken < c->most; i++) {
        box next = box_of(boxes + c->order[i] * 4, c->centered);
        bool keep = true;
        for (int64_t k = 0; k < taken && keep; k++) {
            box other = box_of(boxes + c->taken[k] * 4, c->centered);
            keep = !overlaps(&next, &other, c->iou);
        }
        if (keep) c->taken[taken++] = c->order[i];
    }
    return taken;
}

static bool has_all_data(const tn_infer *f)
{
    for (int i = 0; i < f->in_count; i++)
        if (f->in[i].dtype && !f->data[i].data &&
            (!f->data[i].dtype || tn_tensor_count(&f->data[i])))
            return false;
    return true;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *boxes = &f->in[BOXES], *scores = &f->in[SCORES];
    char text_b[128], text_s[128];
    int64_t width = 4, a = 0, b = 0;
    bool fits = (boxes->rank < 0 || boxes->rank == 3) && (scores->rank < 0 || scores->rank == 3);
    if (fits && boxes->rank == 3 && tn_expr_is_const(f->exprs, boxes->dim[2], &width))
        fits = width == 4;
    for (int k = 0; k < 2 && fits && boxes->rank == 3 && scores->rank == 3; k++)
        if (tn_expr_is_const(f->exprs, boxes->dim[k], &a) &&
            tn_expr_is_const(f->exprs, scores->dim[2 * k], &b))
            fits = a == b;
    TN_CHECK(
        fits, TN_INVALID,
        "boxes must be [images, boxes, 4] and scores [images, classes, boxes]: they are %s and %s",
        tn_type_text(f->exprs, boxes, text_b, sizeof text_b),
        tn_type_text(f->exprs, scores, text_s, sizeof text_s));
    tn_expr dim[2] = {TN_EXPR_NONE, tn_expr_const(f->exprs, 3)};
    if (has_all_data(f)) {
        choice c = choice_of(f->params, f->data, f->in_count);
        c.order = TN_NEW_ARRAY(f->arena, int64_t, c.count);
        c.spare = TN_NEW_ARRAY(f->arena, int64_t, c.count);
        c.taken = TN_NEW_ARRAY(f->arena, int64_t, c.count);
        TN_CHECK(c.order && c.spare && c.taken, TN_OUT_OF_MEMORY, "no memory to count the boxes");
        int64_t total = 0;
        for (int64_t i = 0; i < c.images * c.classes; i++)
            total += choose(&c, i / c.classes, i % c.classes);
        dim[0] = tn_expr_const(f->exprs, total);
    } else if (!tn_infer_has(f, MAX_OUTPUT)) {
        dim[0] = tn_expr_const(f->exprs, 0);
    }
    if (!dim[0]) dim[0] = tn_infer_fresh(f);
    tn_infer_set(f, 0, TN_DTYPE_I64, 2, dim);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = tn_wide_bytes(p->in[SCORES].dim[2]); /* an int64_t is as large as a double */
    return tn_wide_add(tn_wide_add(bytes, bytes), bytes);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    choice c = choice_of(p->params, p->in, p->in_count);
    size_t each = tn_wide_bytes(c.count);
    int64_t row = 0, *out = y->data;
    c.order = l->scratch;
    c.spare = (int64_t *)((char *)l->scratch + each);
    c.taken = (int64_t *)((char *)l->scratch + 2 * each);
    if (c.count == 0) return NULL;
    for (int64_t i = 0; i < c.images * c.classes; i++) {
        int64_t taken = choose(&c, i / c.classes, i % c.classes);
        TN_CHECK(taken <= y->dim[0] - row, TN_INVALID, "there are more than the %lld boxes planned",
                 (long long)y->dim[0]);
        for (int64_t k = 0; k < taken; k++, row++) {
            out[3 * row] = i / c.classes;
            out[3 * row + 1] = i % c.classes;
            out[3 * row + 2] = c.taken[k];
        }
    }
    TN_CHECK(row == y->dim[0], TN_INVALID, "there are %lld boxes, %lld were planned",
             (long long)row, (long long)y->dim[0]);
    return NULL;
}

static const tn_case cases[] = {
    /* The second shares 1/3 with the first; the corners of the third are turned round. */
    {.problem = "NonMaxSuppression f32[1,3,4]={0,0,1,2,0,1,1,3,9,9,8,8} f32[1,1,3]={0.5,0.9,0.1} "
                "i64[1]={5} f32={0.3}",
     .expect = "i64[2,3]={0,0,1,0,0,2}"},
    {.problem = "NonMaxSuppression f32[1,3,4]={0,0,1,2,0,1,1,3,9,9,8,8} f32[1,1,3]={0.5,0.9,0.1} "
                "i64[1]={5} f32={0.4} "
                "f32[1]={0.1}",
     .expect = "i64[2,3]={0,0,1,0,0,0}"},
    {.problem = "NonMaxSuppression{center_point_box=1} f32[1,2,4]={0,0,2,2,0,0,2,2} "
                "f32[1,2,2]={1,1,0,1} i64={9} f32={0.5}",
     .expect = "i64[2,3]={0,0,0,0,1,1}"},
    {.problem = "NonMaxSuppression f32[1,2,4] f32[1,1,2]", .expect = "i64[0,3]={}"},
    {.problem = "NonMaxSuppression f32[2,60,4] f32[2,3,60] i64={10} f32={0.2} f32={0.1}"},
    {0},
};

const tn_op tn_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .since = 11,
    .about = "boxes by score without those that overlap a better one",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_nms_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
