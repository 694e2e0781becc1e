/* Expected values by hand; those with fractions from NumPy. */
#include "ir/op.h"

#define LIST(c)                                                                                    \
    extern const tn_case tn_##c##_cases[];                                                         \
    const tn_case tn_##c##_cases[]
#define RANGE(low, high) .lo = low, .hi = high
/* Every way of broadcasting that kernels treat apart: none, scalar, row, column, both sides, empty.
 */
#define SHAPES(name, type, ...)                                                                    \
    {.problem = name " " type "[3,33] " type "[3,33]", __VA_ARGS__},                               \
        {.problem = name " " type "[3,33] " type, __VA_ARGS__},                                    \
        {.problem = name " " type " " type "[17]", __VA_ARGS__},                                   \
        {.problem = name " " type "[2,3,5] " type "[5]", __VA_ARGS__},                             \
        {.problem = name " " type "[2,3,5] " type "[3,1]", __VA_ARGS__},                           \
        {.problem = name " " type "[4,1,6] " type "[1,3,1]", __VA_ARGS__},                         \
    {                                                                                              \
        .problem = name " " type "[2,0] " type "[2,1]"                                             \
    }
#define FLOATS(name, ...)                                                                          \
    SHAPES(name, "f32", __VA_ARGS__), {.problem = name " f16[9] f16[9]", __VA_ARGS__},             \
        {.problem = name " bf16[9] bf16[1]", __VA_ARGS__},                                         \
    {                                                                                              \
        .problem = name " f64[2,9] f64[9]", __VA_ARGS__                                            \
    }
#define END                                                                                        \
    {                                                                                              \
        .problem = NULL                                                                            \
    }

LIST(add) = {
    {.problem = "Add f32[2,2]={1,2,3,4} f32[2]={10,20}", .expect = "f32[2,2]={11,22,13,24}"},
    {.problem = "Add i8[2]={127,-128} i8[2]={1,-1}", .expect = "i8[2]={-128,127}"},
    {.problem = "Add i64[2]={9007199254740993,9223372036854775807} i64={1}",
     .expect = "i64[2]={9007199254740994,-9223372036854775808}"},
    {.problem = "Add f16[1]={2048} f16[1]={1}", .expect = "f16[1]={2048}"},
    FLOATS("Add", RANGE(-2, 2)),
    SHAPES("Add", "i32", RANGE(-9, 9)),
    END,
};

LIST(sub) = {
    {.problem = "Sub f32[2]={1,2} f32[2,1]={10,20}", .expect = "f32[2,2]={-9,-8,-19,-18}"},
    {.problem = "Sub u8[2]={0,7} u8[2]={1,3}", .expect = "u8[2]={255,4}"},
    {.problem = "Sub i64[1]={-9223372036854775808} i64[1]={1}",
     .expect = "i64[1]={9223372036854775807}"},
    FLOATS("Sub", RANGE(-2, 2)),
    SHAPES("Sub", "i64", RANGE(-9, 9)),
    END,
};

LIST(mul) = {
    {.problem = "Mul f32[3]={1,-2,3} f32={0.5}", .expect = "f32[3]={0.5,-1,1.5}"},
    {.problem = "Mul u8[2]={16,5} u8[2]={16,3}", .expect = "u8[2]={0,15}"},
    {.problem = "Mul i64[1]={3037000500} i64[1]={3037000500}",
     .expect = "i64[1]={-9223372036709301616}"},
    FLOATS("Mul", RANGE(-2, 2)),
    SHAPES("Mul", "i32", RANGE(-9, 9)),
    END,
};

LIST(div) = {
    {.problem = "Div f32[3]={1,-1,3} f32[3]={0,0,-2}", .expect = "f32[3]={inf,-inf,-1.5}"},
    {.problem = "Div i32[4]={7,-7,7,-7} i32[4]={2,2,-2,-2}", .expect = "i32[4]={3,-3,-3,3}"},
    {.problem = "Div i64[2]={-9223372036854775808,5} i64[2]={-1,0}",
     .expect = "i64[2]={-9223372036854775808,0}"},
    {.problem = "Div u64[1]={18446744073709551615} u64[1]={2}",
     .expect = "u64[1]={9223372036854775807}"},
    FLOATS("Div", RANGE(1, 3)),
    SHAPES("Div", "i32", RANGE(1, 20)),
    END,
};

LIST(mod) = {
    {.problem = "Mod i32[4]={7,-7,7,-7} i32[4]={3,3,-3,-3}", .expect = "i32[4]={1,2,-2,-1}"},
    {.problem = "Mod{fmod=1} i32[4]={7,-7,7,-7} i32[4]={3,3,-3,-3}",
     .expect = "i32[4]={1,-1,1,-1}"},
    {.problem = "Mod{fmod=1} f32[4]={5.5,-5.5,5.5,-5.5} f32[4]={2,2,-2,-2}",
     .expect = "f32[4]={1.5,-1.5,1.5,-1.5}"},
    {.problem = "Mod i64[2]={-9223372036854775808,5} i64[2]={-1,0}", .expect = "i64[2]={0,0}"},
    {.problem = "Mod u8[2]={250,7} u8[2]={8,9}", .expect = "u8[2]={2,7}"},
    SHAPES("Mod", "i64", RANGE(1, 20)),
    {.problem = "Mod{fmod=1} f16[33] f16[33]", .lo = 1, .hi = 9},
    END,
};

LIST(pow) = {
    {.problem = "Pow f32[4]={2,4,-2,0} f32[4]={3,0.5,3,0}", .expect = "f32[4]={8,2,-8,1}"},
    {.problem = "Pow f32[2]={2,3} i64[2]={-1,2}", .expect = "f32[2]={0.5,9}"},
    {.problem = "Pow i32[4]={2,-3,-1,2} i32[4]={10,3,-5,-1}", .expect = "i32[4]={1024,-27,-1,0}"},
    {.problem = "Pow i64[2]={3,2} f32[2]={39,0.5}", .expect = "i64[2]={4052555153018976256,1}"},
    {.problem = "Pow i64[1]={3} u8[1]={39}", .expect = "i64[1]={4052555153018976267}"},
    FLOATS("Pow", RANGE(0.5, 3)),
    {.problem = "Pow f32[2,9] i32[9]", .lo = 1, .hi = 4},
    END,
};

LIST(prelu) = {
    {.problem = "PRelu f32[2,2]={-1,2,-3,4} f32[2]={0.5,2}", .expect = "f32[2,2]={-0.5,2,-1.5,4}"},
    {.problem = "PRelu f32[1,2,2]={-1,-1,-1,-1} f32[2,1]={0.5,2}",
     .expect = "f32[1,2,2]={-0.5,-0.5,-2,-2}"},
    {.problem = "PRelu i32[3]={-4,0,4} i32={3}", .expect = "i32[3]={-12,0,4}"},
    {.problem = "PRelu u64[1]={18446744073709551615} u64={2}",
     .expect = "u64[1]={18446744073709551615}"},
    {.problem = "PRelu f32[2,3,5] f32[3,1]"},
    {.problem = "PRelu f16[2,33] f16[33]"},
    {.problem = "PRelu f64[4,9] f64"},
    END,
};

LIST(bit_shift) = {
    {.problem = "BitShift{direction=LEFT} u8[4]={1,3,255,1} u8[4]={0,1,4,8}",
     .expect = "u8[4]={1,6,240,0}"},
    {.problem = "BitShift{direction=RIGHT} u16[3]={65535,16,4} u16[3]={8,2,3}",
     .expect = "u16[3]={255,4,0}"},
    {.problem = "BitShift{direction=RIGHT} u64[2]={18446744073709551615,1} u64[2]={63,64}",
     .expect = "u64[2]={1,0}"},
    {.problem = "BitShift{direction=RIGHT} i8[2]={-8,8} i8[2]={1,1}", .expect = "i8[2]={-4,4}"},
    {.problem = "BitShift{direction=LEFT} u32[2,3,5] u32[5]"},
    END,
};

LIST(bitwise_and) = {
    {.problem = "BitwiseAnd u8[3]={12,255,7} u8={10}", .expect = "u8[3]={8,10,2}"},
    {.problem = "BitwiseAnd i32[2]={-1,6} i32[2]={9,-2}", .expect = "i32[2]={9,6}"},
    {.problem = "BitwiseAnd i64[2,3,5] i64[3,1]", .lo = -99, .hi = 99},
    END,
};

LIST(bitwise_or) = {
    {.problem = "BitwiseOr u8[3]={12,255,5} u8={10}", .expect = "u8[3]={14,255,15}"},
    {.problem = "BitwiseOr i16[2]={-1,6} i16[2]={9,-8}", .expect = "i16[2]={-1,-2}"},
    {.problem = "BitwiseOr u32[2,3,5] u32[3,1]"},
    END,
};

LIST(bitwise_xor) = {
    {.problem = "BitwiseXor u8[3]={12,255,7} u8={10}", .expect = "u8[3]={6,245,13}"},
    {.problem = "BitwiseXor i32[2]={-1,6} i32[2]={9,6}", .expect = "i32[2]={-10,0}"},
    {.problem = "BitwiseXor u64[2,3,5] u64[3,1]"},
    END,
};

LIST(equal) = {
    {.problem = "Equal f32[4]={1,nan,-0,inf} f32[4]={1,nan,0,inf}", .expect = "bool[4]={1,0,1,1}"},
    {.problem = "Equal i64[1]={9007199254740993} i64[1]={9007199254740992}",
     .expect = "bool[1]={0}"},
    {.problem = "Equal bool[2]={0,1} bool={1}", .expect = "bool[2]={0,1}"},
    {.problem = "Equal string[3]={\"a\",\"b\",\"\"} string[3]={\"a\",\"ab\",\"\"}",
     .expect = "bool[3]={1,0,1}"},
    SHAPES("Equal", "i32", RANGE(0, 3)),
    {.problem = "Equal f16[3,9] f16[9]"},
    END,
};

LIST(greater) = {
    {.problem = "Greater f32[4]={1,nan,2,2} f32[4]={0,1,2,3}", .expect = "bool[4]={1,0,0,0}"},
    {.problem = "Greater u64[1]={18446744073709551615} u64[1]={1}", .expect = "bool[1]={1}"},
    {.problem = "Greater i8[1]={-1} i8[1]={1}", .expect = "bool[1]={0}"},
    FLOATS("Greater", RANGE(-1, 1)),
    SHAPES("Greater", "i64", RANGE(0, 4)),
    END,
};

LIST(greater_or_equal) = {
    {.problem = "GreaterOrEqual f32[4]={1,nan,2,2} f32[4]={0,1,2,3}",
     .expect = "bool[4]={1,0,1,0}"},
    {.problem = "GreaterOrEqual u64[1]={1} u64[1]={18446744073709551615}", .expect = "bool[1]={0}"},
    FLOATS("GreaterOrEqual", RANGE(-1, 1)),
    SHAPES("GreaterOrEqual", "i32", RANGE(0, 4)),
    END,
};

LIST(less) = {
    {.problem = "Less f32[4]={1,nan,2,2} f32[4]={0,1,2,3}", .expect = "bool[4]={0,0,0,1}"},
    {.problem = "Less u64[1]={1} u64[1]={18446744073709551615}", .expect = "bool[1]={1}"},
    FLOATS("Less", RANGE(-1, 1)),
    SHAPES("Less", "i64", RANGE(0, 4)),
    END,
};

LIST(less_or_equal) = {
    {.problem = "LessOrEqual f32[4]={1,nan,2,2} f32[4]={0,1,2,3}", .expect = "bool[4]={0,0,1,1}"},
    {.problem = "LessOrEqual i16[1]={-300} i16[1]={300}", .expect = "bool[1]={1}"},
    FLOATS("LessOrEqual", RANGE(-1, 1)),
    SHAPES("LessOrEqual", "i32", RANGE(0, 4)),
    END,
};

LIST(and) = {
    {.problem = "And bool[4]={0,0,1,1} bool[4]={0,1,0,1}", .expect = "bool[4]={0,0,0,1}"},
    SHAPES("And", "bool", RANGE(0, 2)),
    END,
};

LIST(or) = {
    {.problem = "Or bool[4]={0,0,1,1} bool[4]={0,1,0,1}", .expect = "bool[4]={0,1,1,1}"},
    SHAPES("Or", "bool", RANGE(0, 2)),
    END,
};

LIST(xor) = {
    {.problem = "Xor bool[4]={0,0,1,1} bool[4]={0,1,0,1}", .expect = "bool[4]={0,1,1,0}"},
    SHAPES("Xor", "bool", RANGE(0, 2)),
    END,
};
