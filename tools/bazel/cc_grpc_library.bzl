"""Protocol Buffers and gRPC code by the distribution's own compilers."""

def cc_grpc_library(name, src, grpc = False, imports = {}, visibility = None):
    """A library of the messages (and services, with grpc) of one .proto.

    The .proto is named by its path from the workspace's proto/ folder, which is
    also how it is imported and how its header is included.

    Args:
      name: the cc_library.
      src: the .proto, in this package.
      grpc: whether it has services.
      imports: the .protos that it imports, and for each the library of its messages.
      visibility: of the library.
    """
    stem = src[:-len(".proto")]
    hdrs = [stem + ".pb.h"] + ([stem + ".grpc.pb.h"] if grpc else [])
    srcs = [stem + ".pb.cc"] + ([stem + ".grpc.pb.cc"] if grpc else [])
    command = "protoc --proto_path=proto --cpp_out=$(GENDIR)/proto"
    if grpc:
        command += " --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)/proto"
    native.genrule(
        name = name + "_codegen",
        srcs = [src] + imports.keys(),
        outs = hdrs + srcs,
        cmd = "PATH=/usr/bin:/bin " + command + " $(location %s)" % src,
    )
    native.cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = imports.values() + ["@com_google_protobuf//:protobuf"] + (["@com_github_grpc_grpc//:grpc++"] if grpc else []),
    )
