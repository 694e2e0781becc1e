/* Names inside a file of kernels/, which is compiled once per variant. */
#ifndef TN_BACKENDS_CPU_VARIANT_H
#define TN_BACKENDS_CPU_VARIANT_H

#ifndef TN_VARIANT
#error "kernels are compiled with -DTN_VARIANT=<variant>: see cpu_tactics.def"
#endif

#define TN_VARIANT_PASTE_(symbol, variant) symbol##_##variant
#define TN_VARIANT_PASTE(symbol, variant) TN_VARIANT_PASTE_(symbol, variant)
#define TN_VARIANT_QUOTE_(variant) #variant
#define TN_VARIANT_QUOTE(variant) TN_VARIANT_QUOTE_(variant)

#define TN_VARIANT_NAME(symbol) TN_VARIANT_PASTE(symbol, TN_VARIANT) /* tn_cpu_x_avx2 */
#define TN_VARIANT_TEXT TN_VARIANT_QUOTE(TN_VARIANT)                 /* "avx2" */

/* Does the variant multiply tiles (amx.h)? clang 14 has a name of its own for them. */
#if defined(__AMX_TILE__) || defined(__AMXTILE__) || defined(TN_AMX_MODEL)
#define TN_TILES
#endif

#endif
