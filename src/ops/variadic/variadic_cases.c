/* Expected values by hand. */
#include "ir/op.h"

#define LIST(c)                                                                                    \
    extern const tn_case tn_##c##_cases[];                                                         \
    const tn_case tn_##c##_cases[]
#define SHAPES(name)                                                                               \
    {.problem = name " f32[3,33]"}, {.problem = name " f32[3,33] f32[3,33]"},                      \
        {.problem = name " f32[2,1,5] f32[3,1] f32 f32[5]"},                                       \
        {.problem = name " f16[9] f16[9] f16[9] f16[9] f16[9] f16[9]"},                            \
    {                                                                                              \
        .problem = name " f64[0] f64[1]"                                                           \
    }
#define END                                                                                        \
    {                                                                                              \
        .problem = NULL                                                                            \
    }

LIST(max) = {
    {.problem = "Max f32[3]={3,2,nan} f32[3]={1,nan,4} f32[3]={2,5,3}",
     .expect = "f32[3]={3,nan,nan}"},
    {.problem = "Max i8[2]={-1,5} i8[2]={1,-128}", .expect = "i8[2]={1,5}"},
    {.problem = "Max u64[1]={18446744073709551615} u64[1]={1}",
     .expect = "u64[1]={18446744073709551615}"},
    {.problem = "Max i64[2,1]={1,9007199254740993} i64[2]={2,9007199254740992}",
     .expect = "i64[2,2]={2,9007199254740992,9007199254740993,9007199254740993}"},
    SHAPES("Max"),
    END,
};

LIST(min) = {
    {.problem = "Min f32[3]={3,2,nan} f32[3]={1,nan,4} f32[3]={2,5,3}",
     .expect = "f32[3]={1,nan,nan}"},
    {.problem = "Min i16[2]={-1,5} i16[2]={1,-300}", .expect = "i16[2]={-1,-300}"},
    {.problem = "Min u64[1]={18446744073709551615} u64[1]={1}", .expect = "u64[1]={1}"},
    SHAPES("Min"),
    END,
};

LIST(sum) = {
    {.problem = "Sum f32[2]={1,2} f32={10} f32[2,1]={100,200}",
     .expect = "f32[2,2]={111,112,211,212}"},
    {.problem = "Sum f16[1]={2048} f16[1]={1} f16[1]={1}", .expect = "f16[1]={2050}"},
    SHAPES("Sum"),
    END,
};

LIST(mean) = {
    {.problem = "Mean f32[2]={1,2} f32={3} f32[2]={5,7}", .expect = "f32[2]={3,4}"},
    {.problem = "Mean f64[1]={0.5}", .expect = "f64[1]={0.5}"},
    SHAPES("Mean"),
    END,
};
