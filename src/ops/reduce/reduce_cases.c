/* Expected values by hand; logarithms and roots from NumPy. */
#include "ir/op.h"

#define LIST(c)                                                                                    \
    extern const tn_case tn_##c##_cases[];                                                         \
    const tn_case tn_##c##_cases[]
/* Inner, outer, middle and split axes, all of them, none, empty sets. */
#define SHAPES(name, ...)                                                                          \
    {.problem = name " f32[3,65] i64[1]={-1}!", __VA_ARGS__},                                      \
        {.problem = name "{keepdims=0} f32[3,65] i64[1]={0}!", __VA_ARGS__},                       \
        {.problem = name " f32[2,3,4,5] i64[2]={1,3}!", __VA_ARGS__},                              \
        {.problem = name "{keepdims=0} f32[2,3,4,5] i64[2]={-3,2}!", __VA_ARGS__},                 \
        {.problem = name " f16[5,17] i64[1]={1}", __VA_ARGS__},                                    \
        {.problem = name "{keepdims=0} f64[4,9]", __VA_ARGS__},                                    \
        {.problem = name "{noop_with_empty_axes=1} f32[2,3] i64[0]={}", __VA_ARGS__},              \
        {.problem = name " bf16", __VA_ARGS__}, {.problem = name " f32[2,0,3] i64[1]={1}!"},       \
    {                                                                                              \
        .problem = name " f32[0,3] i64[1]={1}!"                                                    \
    }
#define END                                                                                        \
    {                                                                                              \
        .problem = NULL                                                                            \
    }
#define X "f32[2,3]={1,-2,3,4,5,-6} "

LIST(reduce_sum) = {
    {.problem = "ReduceSum " X "i64[1]={1}", .expect = "f32[2,1]={2,3}"},
    {.problem = "ReduceSum{keepdims=0} " X "i64[1]={0}", .expect = "f32[3]={5,3,-3}"},
    {.problem = "ReduceSum " X, .expect = "f32[1,1]={5}"},
    {.problem = "ReduceSum{noop_with_empty_axes=1} " X, .expect = "f32[2,3]={1,-2,3,4,5,-6}"},
    {.problem = "ReduceSum{keepdims=0} i64[2]={9007199254740993,2}",
     .expect = "i64={9007199254740995}"},
    {.problem = "ReduceSum{keepdims=0} f32[2,0] i64[1]={1}", .expect = "f32[2]={0,0}"},
    SHAPES("ReduceSum", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_mean) = {
    {.problem = "ReduceMean " X "i64[1]={-1}", .expect = "f32[2,1]={0.6666667,1}"},
    {.problem = "ReduceMean{keepdims=0} i32[2,2]={1,2,-4,-3} i64[1]={1}",
     .expect = "i32[2]={1,-3}"},
    {.problem = "ReduceMean{keepdims=0} u64[2]={18446744073709551614,1}",
     .expect = "u64={9223372036854775807}"},
    {.problem = "ReduceMean{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={nan}"},
    SHAPES("ReduceMean", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_max) = {
    {.problem = "ReduceMax " X "i64[1]={1}", .expect = "f32[2,1]={3,5}"},
    {.problem = "ReduceMax{keepdims=0} f32[3]={1,nan,2}", .expect = "f32={nan}"},
    {.problem = "ReduceMax{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={-inf}"},
    {.problem = "ReduceMax{keepdims=0} i8[1,0] i64[1]={1}", .expect = "i8[1]={-128}"},
    {.problem = "ReduceMax{keepdims=0} bool[2,2]={0,0,0,1} i64[1]={1}", .expect = "bool[2]={0,1}"},
    {.problem = "ReduceMax{keepdims=0} u64[2]={1,18446744073709551615}",
     .expect = "u64={18446744073709551615}"},
    SHAPES("ReduceMax", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_min) = {
    {.problem = "ReduceMin " X "i64[1]={1}", .expect = "f32[2,1]={-2,-6}"},
    {.problem = "ReduceMin{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={inf}"},
    {.problem = "ReduceMin{keepdims=0} u8[1,0] i64[1]={1}", .expect = "u8[1]={255}"},
    {.problem = "ReduceMin{keepdims=0} bool[2,2]={1,1,0,1} i64[1]={1}", .expect = "bool[2]={1,0}"},
    {.problem = "ReduceMin{keepdims=0} i64[2]={9007199254740993,9007199254740994}",
     .expect = "i64={9007199254740993}"},
    SHAPES("ReduceMin", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_prod) = {
    {.problem = "ReduceProd " X "i64[1]={1}", .expect = "f32[2,1]={-6,-120}"},
    {.problem = "ReduceProd{keepdims=0} i64[3]={3,9007199254740993,1}",
     .expect = "i64={27021597764222979}"},
    {.problem = "ReduceProd{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={1}"},
    SHAPES("ReduceProd", .lo = 0.5, .hi = 1.5),
    END,
};

LIST(reduce_l1) = {
    {.problem = "ReduceL1 " X "i64[1]={1}", .expect = "f32[2,1]={6,15}"},
    {.problem = "ReduceL1{keepdims=0} i32[3]={-1,2,-3}", .expect = "i32={6}"},
    SHAPES("ReduceL1", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_l2) = {
    {.problem = "ReduceL2 f32[2,2]={3,4,-6,8} i64[1]={1}", .expect = "f32[2,1]={5,10}"},
    {.problem = "ReduceL2{keepdims=0} i32[2]={1,2}", .expect = "i32={2}"},
    {.problem = "ReduceL2{noop_with_empty_axes=1} f32[2]={-3,4}", .expect = "f32[2]={3,4}"},
    SHAPES("ReduceL2", .lo = -1, .hi = 1),
    END,
};

LIST(reduce_log_sum) = {
    {.problem = "ReduceLogSum f32[2,2]={1,2,3,4} i64[1]={1}",
     .expect = "f32[2,1]={1.0986123,1.9459101}"},
    {.problem = "ReduceLogSum{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={-inf}"},
    SHAPES("ReduceLogSum", .lo = 0.5, .hi = 1.5),
    END,
};

LIST(reduce_log_sum_exp) = {
    {.problem = "ReduceLogSumExp f32[2,2]={1,2,3,4} i64[1]={1}",
     .expect = "f32[2,1]={2.3132617,4.3132615}"},
    {.problem = "ReduceLogSumExp{keepdims=0} f32[2]={1000,1000}", .expect = "f32={1000.6931}"},
    {.problem = "ReduceLogSumExp{keepdims=0} f32[4,2]={-inf,-inf,inf,inf,-inf,1,inf,-inf} "
                "i64[1]={1}",
     .expect = "f32[4]={-inf,inf,1,inf}"},
    {.problem = "ReduceLogSumExp{keepdims=0} f32[1,0] i64[1]={1}", .expect = "f32[1]={-inf}"},
    SHAPES("ReduceLogSumExp", .lo = -9, .hi = 9),
    END,
};

LIST(reduce_sum_square) = {
    {.problem = "ReduceSumSquare " X "i64[1]={1}", .expect = "f32[2,1]={14,77}"},
    {.problem = "ReduceSumSquare{noop_with_empty_axes=1} f32[2]={-3,4}", .expect = "f32[2]={9,16}"},
    {.problem = "ReduceSumSquare{keepdims=0} i64[2]={94906267,0}",
     .expect = "i64={9007199515875289}"},
    SHAPES("ReduceSumSquare", .lo = -1, .hi = 1),
    END,
};
