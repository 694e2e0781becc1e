/* Expected values by hand. */
#include "ir/op.h"

#define SHAPES(name)                                                                               \
    {.problem = name "{axis=-1} f32[3,65]", .lo = -9, .hi = 9},                                    \
        {.problem = name "{axis=1, keepdims=0} f32[2,7,3]", .lo = -9, .hi = 9},                    \
        {.problem = name " i32[9,2]", .lo = 0, .hi = 4},                                           \
        {.problem = name "{axis=1, select_last_index=1} u8[5,9]", .lo = 0, .hi = 4},               \
    {                                                                                              \
        .problem = name "{axis=1} f16[0,3]"                                                        \
    }

extern const tn_case tn_arg_max_cases[];
const tn_case tn_arg_max_cases[] = {
    {.problem = "ArgMax f32[2,3]={1,5,2,3,5,1}", .expect = "i64[1,3]={1,0,0}"},
    {.problem = "ArgMax{keepdims=0, select_last_index=1} f32[2,3]={1,5,2,3,5,1}",
     .expect = "i64[3]={1,1,0}"},
    {.problem = "ArgMax{axis=-1, keepdims=0} f32[2,3]={1,5,2,3,5,nan}", .expect = "i64[2]={1,2}"},
    {.problem = "ArgMax{keepdims=0} i64[2]={9007199254740992,9007199254740993}",
     .expect = "i64={1}"},
    {.problem = "ArgMax{keepdims=0} u64[2]={18446744073709551615,1}", .expect = "i64={0}"},
    SHAPES("ArgMax"),
    {.problem = NULL},
};

extern const tn_case tn_arg_min_cases[];
const tn_case tn_arg_min_cases[] = {
    {.problem = "ArgMin f32[2,3]={1,5,2,3,5,1}", .expect = "i64[1,3]={0,0,1}"},
    {.problem = "ArgMin{keepdims=0, select_last_index=1} f32[2,3]={1,5,2,3,5,1}",
     .expect = "i64[3]={0,1,1}"},
    {.problem = "ArgMin{axis=1, keepdims=0} i8[2,2]={-1,1,4,-128}", .expect = "i64[2]={0,1}"},
    SHAPES("ArgMin"),
    {.problem = NULL},
};
