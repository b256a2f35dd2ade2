"""Warnings for our own code; generated code is not held to them."""

PAGELIFT_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    "-Werror",
]
