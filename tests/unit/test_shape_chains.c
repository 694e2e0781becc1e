/* Exporters' shape arithmetic: chains of Shape, Gather, Concat, Slice, Range and so on must become
 * expressions over the inputs' dims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/op.h"

/* The type of %y after inference. */
static void gives(const char *body, const char *want)
{
    char text[4096], got[256];
    tn_graph *graph = NULL;
    int bytes = snprintf(text, sizeof text, "graph \"t\" {\n%s\n}\n", body);
    assert_true(bytes > 0 && bytes < (int)sizeof text);
    tn_status status = tn_graph_parse(text, (size_t)bytes, NULL, 0, &graph);
    if (status) {
        tn_status_text(status, true, text, sizeof text);
        fail_msg("%s\n%s", body, text);
    }
    tn_value *y = tn_map_find(&graph->names, "y");
    assert_non_null(y);
    tn_type_text(graph->exprs, &y->type, got, sizeof got);
    if (strcmp(got, want)) fail_msg("%s\ngives %s, not %s", body, got, want);
    tn_graph_free(graph);
}

static void says(const char *body, const char *part)
{
    char text[4096];
    tn_graph *graph = NULL;
    int bytes = snprintf(text, sizeof text, "graph \"t\" {\n%s\n}\n", body);
    assert_true(bytes > 0 && bytes < (int)sizeof text);
    tn_status status = tn_graph_parse(text, (size_t)bytes, NULL, 0, &graph);
    assert_non_null(status);
    tn_status_text(status, false, text, sizeof text);
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void reshape_divides_exactly(void **state)
{
    (void)state;
    gives("input %x : f32[b,s,768]\n const %t : i64[4]={0,0,12,-1}\n %y = Reshape(%x, %t)",
          "f32[b,s,12,64]");
    gives("input %x : f32[b,s,768]\n const %t : i64[2]={-1,768}\n %y = Reshape(%x, %t)",
          "f32[b*s,768]");
    gives("input %x : f32[b,s,768]\n const %t : i64[2]={0,-1}\n %y = Reshape(%x, %t)",
          "f32[b,768*s]");
    gives("input %x : f32[b,12,s,64]\n const %t : i64[3]={-1,0,64}\n %y = Reshape(%x, %t)",
          "f32[b*s,12,64]");
    gives("input %x : f32[1,s,6]\n const %t : i64[1]={-1}\n %y = Reshape(%x, %t)", "f32[6*s]");
    gives("input %x : f32[2,6]\n const %t : i64[3]={-1,2,2}\n %y = Reshape(%x, %t)", "f32[3,2,2]");
    says("input %x : f32[2,6]\n const %t : i64[2]={-1,5}\n %y = Reshape(%x, %t)", "do not divide");
    says("input %x : f32[2,6]\n const %t : i64[3]={2,6,0}\n %y = Reshape(%x, %t)",
         "which has rank 2");
}

/* view(batch, -1, heads, size) as the exporters spell it. */
static void view_chains(void **state)
{
    (void)state;
    gives("input %x : f32[b,s,768]\n const %i0 : i64={0}\n const %i1 : i64={1}\n const %axes : "
          "i64[1]={0}\n"
          "const %tail : i64[2]={12,64}\n"
          "%s = Shape(%x)\n %b = Gather(%s, %i0)\n %l = Gather(%s, %i1)\n"
          "%b1 = Unsqueeze(%b, %axes)\n %l1 = Unsqueeze(%l, %axes)\n"
          "%t = Concat{axis=0}(%b1, %l1, %tail)\n %y = Reshape(%x, %t)",
          "f32[b,s,12,64]");
    gives("input %x : f32[b,s,12,64]\n const %from : i64[1]={0}\n const %to : i64[1]={-2}\n const "
          "%m : i64[1]={-1}\n"
          "%s = Shape(%x)\n %h = Slice(%s, %from, %to)\n %t = Concat{axis=0}(%h, %m)\n %y = "
          "Reshape(%x, %t)",
          "f32[b,s,768]");
    gives("input %x : f32[b,c,h,w]\n const %m : i64[1]={-1}\n"
          "%s = Shape{start=0, end=2}(%x)\n %t = Concat{axis=0}(%s, %m)\n %y = Reshape(%x, %t)",
          "f32[b,c,h*w]");
    gives("input %x : f32[b,s,4]\n const %two : i64[2]={1,2}\n"
          "%s = Shape(%x)\n %p, %q = Split(%s, %two)\n"
          "input %z : f32[...]\n %t = Concat{axis=0}(%q, %p)\n %y = Reshape(%z, %t)",
          "f32[s,4,b]");
}

static void slices(void **state)
{
    (void)state;
    const char *ends[][2] = {
        {"{0} i64[1]={9223372036854775807}", "f32[n,5]"},
        {"{1} i64[1]={9223372036854775807}", "f32[max(n-1,0),5]"},
        {"{0} i64[1]={-1}", "f32[max(n-1,0),5]"},
        {"{-1} i64[1]={9223372036854775807}", "f32[min(n,1),5]"},
        {"{0} i64[1]={2147483647}", "f32[n,5]"},
    };
    for (size_t i = 0; i < TN_COUNT(ends); i++) {
        char body[512], start[32];
        const char *space = strchr(ends[i][0], ' ');
        snprintf(start, sizeof start, "%.*s", (int)(space - ends[i][0]), ends[i][0]);
        snprintf(body, sizeof body,
                 "input %%x : f32[n,5]\n const %%a : i64[1]=%s\n const %%b : %s\n const %%c : "
                 "i64[1]={0}\n"
                 "%%z = Slice(%%x, %%a, %%b, %%c)\n %%y = Identity(%%z)",
                 start, space + 1);
        gives(body, ends[i][1]);
    }
    /* The roll of a window transformer, and position ids cut to the sequence. */
    gives("input %x : f32[b,14,14,96]\n const %a : i64[1]={3}\n const %z : i64[1]={0}\n const %e : "
          "i64[1]={99999999}\n"
          "const %ax : i64[1]={1}\n"
          "%p = Slice(%x, %a, %e, %ax)\n %q = Slice(%x, %z, %a, %ax)\n %y = Concat{axis=1}(%p, %q)",
          "f32[b,14,14,96]");
    gives("input %x : i64[b,s]\n input %ids : i64[1,512]\n const %z : i64[1]={0}\n const %ax : "
          "i64[1]={1}\n"
          "%l = Shape{start=1}(%x)\n %y = Slice(%ids, %z, %l, %ax)",
          "i64[1,min(s,512)]");
    /* Backward over all of it. */
    gives(
        "input %x : f32[n,5]\n const %a : i64[1]={-1}\n const %b : i64[1]={-9223372036854775807}\n"
        "const %c : i64[1]={0}\n const %d : i64[1]={-1}\n %y = Slice(%x, %a, %b, %c, %d)",
        "f32[n,5]");
}

static void made_shapes(void **state)
{
    (void)state;
    gives("input %x : f32[b,s]\n const %i : i64={1}\n const %z : i64={0}\n"
          "%sh = Shape(%x)\n %l = Gather(%sh, %i)\n %y = Range(%z, %l, %i)",
          "i64[s]");
    gives("input %x : f32[b,s]\n const %h : i64[1]={128}\n const %two : i64[1]={6}\n"
          "%bs = Shape{start=0, end=1}(%x)\n %t = Concat{axis=0}(%two, %bs, %h)\n"
          "%y = ConstantOfShape{value=f32={0}}(%t)",
          "f32[6,b,128]");
    gives("input %x : f32[b,s]\n input %c : f32[1,1,96]\n const %m : i64[2]={-1,-1}\n const %one : "
          "i64[2]={1,1}\n"
          "%bs = Shape{start=0, end=1}(%x)\n %t = Concat{axis=0}(%bs, %one)\n %y = Expand(%c, %t)",
          "f32[b,1,96]");
    gives("input %x : f32[b,s]\n const %r : i64[2]={3,2}\n %y = Tile(%x, %r)", "f32[3*b,2*s]");
    gives("input %x : f32[b,s]\n const %p : i64[4]={0,1,0,2}\n %y = Pad(%x, %p)", "f32[b,s+3]");
    gives("input %x : f32[b,s,96]\n %y, %k, %v = Split{axis=2}(%x)", "f32[b,s,32]");
    gives("input %x : f32[2,b,s]\n %y = Flatten{axis=2}(%x)", "f32[2*b,s]");
    gives("input %x : f32[b,s,1]\n const %a : i64[1]={-1}\n %y = Squeeze(%x, %a)", "f32[b,s]");
    gives("input %x : f32[b,s,1]\n %y = Squeeze(%x)", "f32[...]");
    gives("input %x : f32[2,3,1]\n %y = Squeeze(%x)", "f32[2,3]");
    gives("input %x : f32[b,s,8]\n %y = Transpose{perm=[0,2,1]}(%x)", "f32[b,8,s]");
    gives("input %x : f32[b,s]\n %y = Size(%x)", "i64");
}

static void run_time_shapes_have_ranks(void **state)
{
    (void)state;
    gives("input %x : f32[b,s]\n input %t : i64[3]\n %y = Reshape(%x, %t)",
          "f32[$reshape.0,$reshape.1,$reshape.2]");
    gives("input %x : f32[b,s]\n input %t : i64[n]\n %y = Reshape(%x, %t)", "f32[...]");
    gives("input %x : f32[b,s]\n %y = NonZero(%x)", "i64[2,$nonzero.0]");
    gives("input %x : f32[b,s]\n input %k : i64[1]\n %y, %i = TopK(%x, %k)", "f32[b,$topk.0]");
    gives("input %x : f32[b,s]\n input %a : i64[1]\n %y = Slice(%x, %a, %a)", "f32[$slice.0,s]");
    /* One dim that is not known is what the others leave. */
    gives("input %x : f32[b,s,8]\n input %n : i64[1]\n %h = Shape{start=0, end=1}(%x)\n const %e : "
          "i64[1]={4}\n"
          "%t = Concat{axis=0}(%h, %n, %e)\n %y = Reshape(%x, %t)",
          "f32[b,2*s,4]");
}

static void dims_speak_of_inputs(void **state)
{
    (void)state;
    gives("input %x : f32[b,s]\n %t = tenon.Dims{dims=[\"b\",\"2*s\",\"1\"]}()\n input %c : "
          "f32[1,1,1]\n"
          "%y = Expand(%c, %t)",
          "f32[b,2*s,1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshape_divides_exactly),
        cmocka_unit_test(view_chains),
        cmocka_unit_test(slices),
        cmocka_unit_test(made_shapes),
        cmocka_unit_test(run_time_shapes_have_ranks),
        cmocka_unit_test(dims_speak_of_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
