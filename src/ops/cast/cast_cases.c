/* Expected values by hand from the tables of the ONNX specification. */
#include "ir/op.h"

#define X "f32[6]={0.5,-1.7,300,1e6,nan,inf} "

extern const tn_case tn_cast_cases[];
const tn_case tn_cast_cases[] = {
    {.problem = "Cast{to=i32} f32[4]={0.5,-1.7,300,-0.2}", .expect = "i32[4]={0,-1,300,0}"},
    {.problem = "Cast{to=u8} i32[3]={-1,256,300}", .expect = "u8[3]={255,0,44}"},
    {.problem = "Cast{to=i8} i16[1]={200}", .expect = "i8[1]={-56}"},
    {.problem = "Cast{to=bool} f32[4]={0,-0,0.5,nan}", .expect = "bool[4]={0,0,1,1}"},
    {.problem = "Cast{to=f32} bool[2]={0,1}", .expect = "f32[2]={0,1}"},
    {.problem = "Cast{to=i64} u64[1]={18446744073709551615}", .expect = "i64[1]={-1}"},
    {.problem = "Cast{to=f32} i64[2]={16777217,9007199791611905}",
     .expect = "f32[2]={16777216,9007199791611904}"},
    {.problem = "Cast{to=f16} f32[3]={65504,65520,1e-8}", .expect = "f16[3]={65504,inf,0}"},
    {.problem = "Cast{to=bf16} f32[2]={1.00390625,1.01171875}", .expect = "bf16[2]={1,1.015625}"},
    {.problem = "Cast{to=f8e4m3fn} " X, .expect = "f8e4m3fn[6]={0.5,-1.75,288,448,nan,448}"},
    {.problem = "Cast{saturate=0, to=f8e4m3fn} " X,
     .expect = "f8e4m3fn[6]={0.5,-1.75,288,nan,nan,nan}"},
    {.problem = "Cast{to=f8e5m2} " X, .expect = "f8e5m2[6]={0.5,-1.75,320,57344,nan,57344}"},
    {.problem = "Cast{saturate=0, to=f8e5m2} " X,
     .expect = "f8e5m2[6]={0.5,-1.75,320,inf,nan,inf}"},
    {.problem = "Cast{to=f8e4m3fnuz} " X, .expect = "f8e4m3fnuz[6]={0.5,-1.75,240,240,nan,240}"},
    {.problem = "Cast{to=f8e5m2fnuz} " X,
     .expect = "f8e5m2fnuz[6]={0.5,-1.75,320,57344,nan,57344}"},
    {.problem = "Cast{to=f8e8m0} f32[4]={0,1.1,3,4}", .expect = "f8e8m0[4]={5.877472e-39,2,4,4}"},
    {.problem = "Cast{round_mode=down, to=f8e8m0} f32[3]={1.1,3,4}", .expect = "f8e8m0[3]={1,2,4}"},
    {.problem = "Cast{round_mode=nearest, to=f8e8m0} f32[3]={1.1,3,4}",
     .expect = "f8e8m0[3]={1,4,4}"},
    {.problem = "Cast{to=i4} f32[3]={-9,7.9,8}", .expect = "i4[3]={7,7,-8}"},
    {.problem = "Cast{to=u4} i8[3]={-1,16,9}", .expect = "u4[3]={15,0,9}"},
    {.problem = "Cast{to=i2} f32[3]={-3,1,2}", .expect = "i2[3]={1,1,-2}"},
    {.problem = "Cast{to=u2} f32[3]={-3,1,6}", .expect = "u2[3]={1,1,2}"},
    {.problem = "Cast{to=f4e2m1} f32[5]={0.25,1.05,-3.5,9,-inf}",
     .expect = "f4e2m1[5]={0,1,-4,6,-6}"},
    {.problem = "Cast{to=f32} f4e2m1[3]={-6,0.5,1.5}", .expect = "f32[3]={-6,0.5,1.5}"},
    {.problem = "Cast{to=f32} i4[3]={-8,7,1}", .expect = "f32[3]={-8,7,1}"},
    {.problem = "Cast{to=f32} string[5]={\"3.25\",\"-1e-2\",\"INF\",\"-inf\",\"NaN\"}",
     .expect = "f32[5]={3.25,-0.01,inf,-inf,nan}"},
    {.problem = "Cast{to=i64} string[2]={\"9007199254740993\",\"100.5\"}",
     .expect = "i64[2]={9007199254740993,100}"},
    {.problem = "Cast{to=string} f32[4]={0.1,-2,inf,nan}",
     .expect = "string[4]={\"0.1\",\"-2\",\"INF\",\"NaN\"}"},
    {.problem = "Cast{to=string} u64[1]={18446744073709551615}",
     .expect = "string[1]={\"18446744073709551615\"}"},
    {.problem = "Cast{to=f16} f32[3,65]", .lo = -9, .hi = 9},
    {.problem = "Cast{to=f32} f16[3,65]", .lo = -9, .hi = 9},
    {.problem = "Cast{to=f32} i64[2,9]"},
    {.problem = "Cast{to=i64} f32[2,9]", .lo = -9, .hi = 9},
    {.problem = "Cast{to=f32} bf16[33]"},
    {.problem = "Cast{to=f64} f32[0]"},
    {.problem = NULL},
};

extern const tn_case tn_cast_like_cases[];
const tn_case tn_cast_like_cases[] = {
    {.problem = "CastLike f32[3]={0.5,-1.7,300} i32[0]={}", .expect = "i32[3]={0,-1,300}"},
    {.problem = "CastLike{saturate=0} f32[1]={1e6} f8e5m2[1]", .expect = "f8e5m2[1]={inf}"},
    {.problem = "CastLike i64[2]={0,7} bool", .expect = "bool[2]={0,1}"},
    {.problem = "CastLike f32[3,65] f16[2]"},
    {.problem = NULL},
};
