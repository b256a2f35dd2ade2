"""What users install: see docs/adr/0010-link-programs-statically.md."""

# Every archive of Abseil that gRPC's needs, or our code: within a group it does
# not matter which of them needs which.
_ABSL = [
    "bad_any_cast_impl",
    "bad_optional_access",
    "bad_variant_access",
    "base",
    "city",
    "civil_time",
    "cord",
    "cord_internal",
    "cordz_functions",
    "cordz_handle",
    "cordz_info",
    "debugging_internal",
    "demangle_internal",
    "exponential_biased",
    "graphcycles_internal",
    "hash",
    "hashtablez_sampler",
    "int128",
    "log_severity",
    "low_level_hash",
    "malloc_internal",
    "random_distributions",
    "random_internal_platform",
    "random_internal_pool_urbg",
    "random_internal_randen",
    "random_internal_randen_hwaes",
    "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow",
    "random_internal_seed_material",
    "random_seed_gen_exception",
    "random_seed_sequences",
    "raw_hash_set",
    "raw_logging_internal",
    "spinlock_wait",
    "stacktrace",
    "status",
    "statusor",
    "str_format_internal",
    "strerror",
    "strings",
    "strings_internal",
    "symbolize",
    "synchronization",
    "throw_delegate",
    "time",
    "time_zone",
]

_ARCHIVES = [
    "bpf",
    "elf",
    "nghttp2",
    "seccomp",
    "xxhash",
    "zstd",
    "grpc++_reflection",
    "grpc++",
    "grpc",
    "gpr",
    "protobuf",
    "upb",
    "re2",
    "cares",
    "address_sorting",
] + ["absl_" + name for name in _ABSL]

_LINKOPTS = [
    "-Wl,-Bstatic",
    "-Wl,--start-group",
] + ["-l" + name for name in _ARCHIVES] + [
    "-Wl,--end-group",
    "-Wl,-Bdynamic",
    "-lssl",
    "-lcrypto",
    "-lz",
    # The libraries' own rules name them once more, as shared ones.
    "-Wl,--as-needed",
]

def pagelift_program(name, **kwargs):
    """A cc_binary with gRPC and what it needs in it, all but OpenSSL and zlib."""
    native.cc_binary(
        name = name,
        linkopts = select({
            # Sanitizers put functions of ours in front of shared Abseil's.
            "//tools/bazel:shared_programs": [],
            "//conditions:default": _LINKOPTS,
        }),
        **kwargs
    )
