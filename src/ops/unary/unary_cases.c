/* Expected values: NumPy in double from the formulas of the ONNX specification, rounded to the
 * type. */
#include "ir/op.h"

#define RANGE(low, high) .lo = low, .hi = high
#define LIST(c)                                                                                    \
    extern const tn_case tn_##c##_cases[];                                                         \
    const tn_case tn_##c##_cases[]
/* Every operator on floats: several types, ranks, sizes around vector widths, no elements. */
#define FLOATS(name, ...)                                                                          \
    {.problem = name " f32[3,65]", __VA_ARGS__}, {.problem = name " f16[2,3,4]", __VA_ARGS__},     \
        {.problem = name " bf16[7]", __VA_ARGS__}, {.problem = name " f64[2,0]"},                  \
        {.problem = name " f32", __VA_ARGS__},                                                     \
    {                                                                                              \
        0                                                                                          \
    }

LIST(ceil) = {
    {.problem = "Ceil f32[4]={-1.5,-0.2,0.2,2}", .expect = "f32[4]={-1,-0,1,2}"},
    FLOATS("Ceil", RANGE(-4, 4)),
};

LIST(floor) = {
    {.problem = "Floor f32[4]={-1.5,-0.2,0.2,2}", .expect = "f32[4]={-2,-1,0,2}"},
    FLOATS("Floor", RANGE(-4, 4)),
};

LIST(round) = {
    {.problem = "Round f32[7]={-2.5,-1.5,-0.5,0.5,1.5,2.5,2.6}",
     .expect = "f32[7]={-2,-2,-0,0,2,2,3}"},
    {.problem = "Round f16[3]={2.5,3.5,-0.5}", .expect = "f16[3]={2,4,-0}"},
    FLOATS("Round", RANGE(-4, 4)),
};

LIST(sqrt) = {
    {.problem = "Sqrt f32[5]={0,1,2,9,-1}", .expect = "f32[5]={0,1,1.4142135,3,nan}"},
    FLOATS("Sqrt", RANGE(0, 9)),
};

LIST(reciprocal) = {
    {.problem = "Reciprocal f32[4]={-2,4,0,0.1}", .expect = "f32[4]={-0.5,0.25,inf,10}"},
    FLOATS("Reciprocal", RANGE(1, 4)),
};

LIST(exp) = {
    {.problem = "Exp f32[5]={-100,-1,0,1,100}",
     .expect = "f32[5]={3.8e-44,0.36787945,1,2.7182817,inf}"},
    {.problem = "Exp f64[2]={1,-1}", .expect = "f64[2]={2.718281828459045,0.36787944117144233}"},
    FLOATS("Exp", RANGE(-4, 4)),
};

LIST(log) = {
    {.problem = "Log f32[5]={0,0.5,1,10,-1}", .expect = "f32[5]={-inf,-0.6931472,0,2.3025851,nan}"},
    FLOATS("Log", RANGE(0.01, 9)),
};

LIST(sin) = {
    {.problem = "Sin f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.9092974,-0.47942555,0,0.47942555,0.9092974}"},
    FLOATS("Sin", RANGE(-6, 6)),
};

LIST(cos) = {
    {.problem = "Cos f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.41614684,0.87758255,1,0.87758255,-0.41614684}"},
    FLOATS("Cos", RANGE(-6, 6)),
};

LIST(tan) = {
    {.problem = "Tan f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={2.1850398,-0.5463025,0,0.5463025,-2.1850398}"},
    FLOATS("Tan", RANGE(-1, 1)),
};

LIST(asin) = {
    {.problem = "Asin f32[5]={-1,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.5707964,-0.5235988,0,0.5235988,nan}"},
    FLOATS("Asin", RANGE(-1, 1)),
};

LIST(acos) = {
    {.problem = "Acos f32[5]={-1,-0.5,0,0.5,2}",
     .expect = "f32[5]={3.1415927,2.0943952,1.5707964,1.0471976,nan}"},
    FLOATS("Acos", RANGE(-1, 1)),
};

LIST(atan) = {
    {.problem = "Atan f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.1071488,-0.4636476,0,0.4636476,1.1071488}"},
    FLOATS("Atan", RANGE(-6, 6)),
};

LIST(sinh) = {
    {.problem = "Sinh f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-3.6268604,-0.5210953,0,0.5210953,3.6268604}"},
    FLOATS("Sinh", RANGE(-4, 4)),
};

LIST(cosh) = {
    {.problem = "Cosh f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={3.7621956,1.127626,1,1.127626,3.7621956}"},
    FLOATS("Cosh", RANGE(-4, 4)),
};

LIST(tanh) = {
    {.problem = "Tanh f32[5]={-100,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1,-0.46211717,0,0.46211717,0.9640276}"},
    FLOATS("Tanh", RANGE(-4, 4)),
};

LIST(asinh) = {
    {.problem = "Asinh f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.4436355,-0.4812118,0,0.4812118,1.4436355}"},
    FLOATS("Asinh", RANGE(-6, 6)),
};

LIST(acosh) = {
    {.problem = "Acosh f32[4]={1,1.5,10,0.5}", .expect = "f32[4]={0,0.9624236,2.993223,nan}"},
    FLOATS("Acosh", RANGE(1, 9)),
};

LIST(atanh) = {
    {.problem = "Atanh f32[5]={-1,-0.5,0,0.5,2}",
     .expect = "f32[5]={-inf,-0.54930615,0,0.54930615,nan}"},
    FLOATS("Atanh", RANGE(-0.9, 0.9)),
};

LIST(erf) = {
    {.problem = "Erf f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.9953223,-0.5204999,0,0.5204999,0.9953223}"},
    FLOATS("Erf", RANGE(-4, 4)),
};

LIST(sigmoid) = {
    {.problem = "Sigmoid f32[5]={-1000,-2,0,2,1000}",
     .expect = "f32[5]={0,0.11920292,0.5,0.8807971,1}"},
    FLOATS("Sigmoid", RANGE(-8, 8)),
};

LIST(softplus) = {
    {.problem = "Softplus f32[5]={-1000,-2,0,2,1000}",
     .expect = "f32[5]={0,0.12692802,0.6931472,2.126928,1000}"},
    FLOATS("Softplus", RANGE(-8, 8)),
};

LIST(softsign) = {
    {.problem = "Softsign f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.6666667,-0.33333334,0,0.33333334,0.6666667}"},
    FLOATS("Softsign", RANGE(-8, 8)),
};

LIST(leaky_relu) = {
    {.problem = "LeakyRelu f32[5]={-2,-0.5,0,0.5,2}", .expect = "f32[5]={-0.02,-0.005,0,0.5,2}"},
    {.problem = "LeakyRelu{alpha=0.25} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.5,-0.125,0,0.5,2}"},
    FLOATS("LeakyRelu", RANGE(-8, 8)),
};

LIST(elu) = {
    {.problem = "Elu f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.86466473,-0.39346933,0,0.5,2}"},
    {.problem = "Elu{alpha=2} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.7293295,-0.78693867,0,0.5,2}"},
    FLOATS("Elu", RANGE(-4, 4)),
};

LIST(selu) = {
    {.problem = "Selu f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.5201665,-0.6917582,0,0.5253505,2.101402}"},
    {.problem = "Selu{alpha=2, gamma=3} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-5.1879883,-2.360816,0,1.5,6}"},
    FLOATS("Selu", RANGE(-4, 4)),
};

LIST(celu) = {
    {.problem = "Celu f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.86466473,-0.39346933,0,0.5,2}"},
    {.problem = "Celu{alpha=2} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-1.2642411,-0.44239843,0,0.5,2}"},
    FLOATS("Celu", RANGE(-4, 4)),
};

LIST(hard_sigmoid) = {
    {.problem = "HardSigmoid f32[5]={-5,-0.5,0,1,5}", .expect = "f32[5]={0,0.4,0.5,0.7,1}"},
    {.problem = "HardSigmoid{alpha=0.5, beta=0.25} f32[3]={-1,0.5,4}",
     .expect = "f32[3]={0,0.5,1}"},
    FLOATS("HardSigmoid", RANGE(-8, 8)),
};

LIST(hard_swish) = {
    {.problem = "HardSwish f32[5]={-5,-1,0,1,5}",
     .expect = "f32[5]={-0,-0.33333334,0,0.6666667,5}"},
    FLOATS("HardSwish", RANGE(-8, 8)),
};

LIST(thresholded_relu) = {
    {.problem = "ThresholdedRelu f32[4]={-2,0.5,1,1.5}", .expect = "f32[4]={0,0,0,1.5}"},
    {.problem = "ThresholdedRelu{alpha=-1} f32[3]={-2,-1,-0.5}", .expect = "f32[3]={0,0,-0.5}"},
    FLOATS("ThresholdedRelu", RANGE(-8, 8)),
};

LIST(gelu) = {
    {.problem = "Gelu f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.045500264,-0.15426877,0,0.34573123,1.9544997}"},
    {.problem = "Gelu{approximate=tanh} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.045402307,-0.154286,0,0.345714,1.9545977}"},
    {.problem = "Gelu{approximate=tanh} f16[33]"},
    FLOATS("Gelu", RANGE(-4, 4)),
};

LIST(mish) = {
    {.problem = "Mish f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.2525015,-0.22074378,0,0.3752452,1.943959}"},
    FLOATS("Mish", RANGE(-8, 8)),
};

LIST(swish) = {
    {.problem = "Swish f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.23840584,-0.18877034,0,0.31122968,1.7615942}"},
    {.problem = "Swish{alpha=2} f32[5]={-2,-0.5,0,0.5,2}",
     .expect = "f32[5]={-0.03597242,-0.13447072,0,0.3655293,1.9640275}"},
    FLOATS("Swish", RANGE(-8, 8)),
};

/* The rest by hand. */
LIST(abs) = {
    {.problem = "Abs f32[4]={-1.5,0,2,-inf}", .expect = "f32[4]={1.5,0,2,inf}"},
    {.problem = "Abs i8[3]={-128,-7,7}", .expect = "i8[3]={-128,7,7}"},
    {.problem = "Abs i64[2]={-9007199254740993,5}", .expect = "i64[2]={9007199254740993,5}"},
    {.problem = "Abs u64[1]={18446744073709551615}", .expect = "u64[1]={18446744073709551615}"},
    {.problem = "Abs i32[3,7]", .lo = -9, .hi = 9},
    FLOATS("Abs", RANGE(-4, 4)),
};

LIST(neg) = {
    {.problem = "Neg f32[3]={-1.5,0,inf}", .expect = "f32[3]={1.5,-0,-inf}"},
    {.problem = "Neg i8[3]={-128,-7,7}", .expect = "i8[3]={-128,7,-7}"},
    {.problem = "Neg i64[2]={9007199254740993,-1}", .expect = "i64[2]={-9007199254740993,1}"},
    {.problem = "Neg i32[33]", .lo = -9, .hi = 9},
    FLOATS("Neg", RANGE(-4, 4)),
};

LIST(sign) = {
    {.problem = "Sign f32[4]={-0.1,0,3,nan}", .expect = "f32[4]={-1,0,1,nan}"},
    {.problem = "Sign i16[3]={-300,0,9}", .expect = "i16[3]={-1,0,1}"},
    {.problem = "Sign u64[2]={18446744073709551615,0}", .expect = "u64[2]={1,0}"},
    FLOATS("Sign", RANGE(-4, 4)),
};

LIST(relu) = {
    {.problem = "Relu f32[4]={-1,0,2,nan}", .expect = "f32[4]={0,0,2,nan}"},
    {.problem = "Relu i8[3]={-128,0,127}", .expect = "i8[3]={0,0,127}"},
    {.problem = "Relu i64[5]", .lo = -9, .hi = 9},
    FLOATS("Relu", RANGE(-4, 4)),
};

LIST(not ) = {
    {.problem = "Not bool[2]={0,1}", .expect = "bool[2]={1,0}"},
    {.problem = "Not bool[3,33]", .lo = 0, .hi = 2},
    {.problem = "Not bool[0]"},
    {0},
};

LIST(bitwise_not) = {
    {.problem = "BitwiseNot u8[3]={0,1,255}", .expect = "u8[3]={255,254,0}"},
    {.problem = "BitwiseNot i32[3]={0,1,-1}", .expect = "i32[3]={-1,-2,0}"},
    {.problem = "BitwiseNot u64[1]={0}", .expect = "u64[1]={18446744073709551615}"},
    {.problem = "BitwiseNot i16[2,9]"},
    {0},
};

LIST(shrink) = {
    {.problem = "Shrink f32[5]={-2,-0.5,0,0.5,2}", .expect = "f32[5]={-2,0,0,0,2}"},
    {.problem = "Shrink{bias=1.5, lambd=1} f32[4]={-2,-1,1,2}", .expect = "f32[4]={-0.5,0,0,0.5}"},
    {.problem = "Shrink{bias=1, lambd=1} i32[4]={-3,-1,1,3}", .expect = "i32[4]={-2,0,0,2}"},
    {.problem = "Shrink u8[9]"},
    {.problem = "Shrink f16[33]", .lo = -2, .hi = 2},
    {0},
};

LIST(is_nan) = {
    {.problem = "IsNaN f32[4]={nan,0,inf,-inf}", .expect = "bool[4]={1,0,0,0}"},
    {.problem = "IsNaN f16[2]={nan,1}", .expect = "bool[2]={1,0}"},
    {.problem = "IsNaN f8e4m3fn[2]={nan,1}", .expect = "bool[2]={1,0}"},
    {.problem = "IsNaN f64[3,5]"},
    {0},
};

LIST(is_inf) = {
    {.problem = "IsInf f32[4]={nan,0,inf,-inf}", .expect = "bool[4]={0,0,1,1}"},
    {.problem = "IsInf{detect_negative=0} f32[2]={inf,-inf}", .expect = "bool[2]={1,0}"},
    {.problem = "IsInf{detect_positive=0} f16[2]={inf,-inf}", .expect = "bool[2]={0,1}"},
    {.problem = "IsInf f8e5m2[2]={inf,1}", .expect = "bool[2]={1,0}"},
    {.problem = "IsInf f64[3,5]"},
    {0},
};
