"""Fuzzers that are also plain regression tests."""

load("//tools/bazel:copts.bzl", "PAGELIFT_COPTS")

def pagelift_fuzz_test(
        name,
        srcs,
        deps,
        corpus = [],
        copts = PAGELIFT_COPTS,
        generated_inputs = 2000,
        max_len = 4096,
        **kwargs):
    """A libFuzzer binary, and a test that needs no libFuzzer.

    `srcs` define LLVMFuzzerTestOneInput(), nothing else of libFuzzer's.

      <name>_fuzzer       with libFuzzer: bazel build --config=fuzz; manual.
      <name>_corpus_test  replays the corpus, then generated inputs and mutations
                          of the corpus that are the same in every run.

    Args:
      name: what is fuzzed; without "fuzz".
      srcs: the sources of both.
      deps: of both.
      corpus: inputs to begin with; if empty, the files of <name>_corpus/.
      copts: of both.
      generated_inputs: how many the test adds to the corpus.
      max_len: of a generated input, in bytes.
      **kwargs: handed to the test, e.g. size, timeout, tags.
    """
    corpus = corpus or native.glob([name + "_corpus/**"])
    native.cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        srcs = srcs,
        copts = copts,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
    native.cc_test(
        name = name + "_corpus_test",
        srcs = srcs + ["//tools/bazel:fuzz_replay_main.cc"],
        args = [
            "--generated_inputs=%d" % generated_inputs,
            "--max_len=%d" % max_len,
        ] + ["$(rootpaths %s)" % file for file in corpus],
        copts = copts,
        data = corpus,
        deps = deps,
        **kwargs
    )
