/* Libraries of operators that are not right, chosen by ODD. */
#include <tenon/op.h>

static tn_code shape(const tn_op_call *call)
{
    call->host->set_output_like(call, 0, 0);
    return TN_OK;
}

static tn_code compute(const tn_op_call *call)
{
    return call->host->error(call, TN_DEVICE, "the machine is on fire");
}

static const tn_op_port port[] = {{"x", 0, 0, 0}};

static tn_op_spec spec_of(const char *domain, const char *name)
{
    return (tn_op_spec){.size = sizeof(tn_op_spec),
                        .version = TN_OP_VERSION,
                        .domain = domain,
                        .name = name,
                        .input = port,
                        .output = port,
                        .input_count = 1,
                        .output_count = 1,
                        .shape = shape,
                        .compute = compute};
}

#define ODD_NO_ENTRY 1
#define ODD_VERSION 2
#define ODD_EMPTY 3
#define ODD_REFUSES 4
#define ODD_SECOND 5 /* the second operator is not valid */
#define ODD_TWICE 6
#define ODD_SWISH 7 /* of the name that the example has */
#define ODD_COMPUTE 8

TN_API tn_code tn_op_library_entry_of(const tn_op_registry *registry);
#if ODD != ODD_NO_ENTRY
#define tn_op_library_entry_of tn_op_library_register
TN_API tn_code tn_op_library_register(const tn_op_registry *registry);
#endif
TN_API tn_code tn_op_library_entry_of(const tn_op_registry *registry)
{
    tn_op_spec spec = spec_of("odd", "First"), second = spec_of("odd", "Second");
    switch (ODD) {
    case ODD_VERSION: spec.version = TN_OP_VERSION + 1; break;
    case ODD_EMPTY: return TN_OK;
    case ODD_REFUSES: return TN_UNAVAILABLE;
    case ODD_SECOND:
        second.name = "not a name";
        spec = spec_of("example", "Swish");
        break;
    case ODD_TWICE: second.name = "First"; break;
    case ODD_COMPUTE:
    case ODD_SWISH:
        spec = spec_of("example", "Swish"), second = spec_of("example", "RunLengths");
        break;
    default: break;
    }
    if (ODD == ODD_COMPUTE) second.output_count = 1;
    tn_code code = registry->add(registry, &spec);
    return code == TN_OK ? registry->add(registry, &second) : code;
}
