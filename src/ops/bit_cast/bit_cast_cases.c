/* Expected values by hand from IEEE 754. */
#include "ir/op.h"

extern const tn_case tn_bit_cast_cases[];
const tn_case tn_bit_cast_cases[] = {
    {.problem = "BitCast{to=u32} f32[3]={1,-0,2}",
     .expect = "u32[3]={1065353216,2147483648,1073741824}"},
    {.problem = "BitCast{to=f16} u16[2]={15360,49152}", .expect = "f16[2]={1,-2}"},
    {.problem = "BitCast{to=i4} u4[3]={15,8,7}", .expect = "i4[3]={-1,-8,7}"},
    {.problem = "BitCast{to=i64} f64[2,9]"},
    {.problem = "BitCast{to=u8} bool[0]"},
    {.problem = NULL},
};
