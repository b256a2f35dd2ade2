"""`pagelift restore`, and what else is not about lazy-pages."""

import os

from harness import tools
from harness.setting import Result, Setting

from .spoiling import Case, make_another, make_foreign, truncate_by_a_page


def truncated_pages(s: Setting) -> Result:
    images = s.copy("truncated")
    truncate_by_a_page(images)
    return s.restore(images)


def truncated_pages_at_the_server(s: Setting) -> Result:
    images = s.copy("truncated-at-server")
    truncate_by_a_page(images)
    with s.serving("truncated", images) as url:
        return s.restore(s.images, "--source", url)


def foreign_file(s: Setting) -> Result:
    images = s.copy("foreign")
    make_foreign(images)
    return s.restore(images)


def foreign_file_at_the_server(s: Setting) -> Result:
    images = s.copy("foreign-at-server")
    make_foreign(images)
    with s.serving("foreign", images) as url:
        return s.restore(s.images, "--source", url)


def no_checkpoint(s: Setting) -> Result:
    return s.restore(s.make_folder("empty"))


def missing_directory(s: Setting) -> Result:
    return s.restore(s.folder / "nowhere")


def nonsense_source(s: Setting) -> Result:
    return s.restore(s.images, "--source", "ftp://host/x")


def server_gone(s: Setting) -> Result:
    return s.restore(s.images, "--source", "grpc://127.0.0.1:9/checkpoint")


def unknown_image(s: Setting) -> Result:
    return s.restore(s.images, "--source", s.url + "-of-another-day")


def another_checkpoint(s: Setting) -> Result:
    images = s.copy("another")
    make_another(images)
    return s.restore(images, "--source", s.url)


def unwritable_work_dir(s: Setting) -> Result:
    # Root may write nearly everywhere, but not here.
    return s.restore(s.images, "--work-dir", "/proc/self")


def no_criu(s: Setting) -> Result:
    return s.restore(s.images, "--criu", "/nowhere/criu")


def criu_that_fails(s: Setting) -> Result:
    return s.restore(s.images, "--criu", "/bin/false")


def damaged_for_criu(s: Setting) -> Result:
    images = s.copy("damaged")
    for core in images.glob("files.img"):
        os.truncate(core, 20)
    return s.restore(images)


def no_images_option(s: Setting) -> Result:
    return s.run(tools.pagelift("pagelift"), "restore")


def unknown_option(s: Setting) -> Result:
    return s.run(tools.pagelift("pagelift"), "restore", "--imagse", "x")


def status_without_daemon(s: Setting) -> Result:
    return s.run(tools.pagelift("pagelift"), "status", "--control",
                 s.folder / "no-daemon")


def server_address_taken(s: Setting) -> Result:
    return s.run(tools.pagelift("pagelift-server"), "--listen",
                 "198.51.100.1:7077", "--insecure", "--root", s.folder)


CASES = [
    Case(truncated_pages, 1, ("pages-", "bytes", "copy the checkpoint again")),
    Case(truncated_pages_at_the_server, 1,
         ("127.0.0.1:", '"truncated"', "truncated-at-server/pages-",
          "copy the checkpoint again")),
    Case(foreign_file, 1, ("inventory.img", "no CRIU image")),
    Case(foreign_file_at_the_server, 1,
         ("127.0.0.1:", '"foreign"', "foreign-at-server/inventory.img",
          "no CRIU image")),
    Case(no_checkpoint, 1, ("inventory.img",)),
    Case(missing_directory, 1, ("nowhere",)),
    Case(nonsense_source, 1, ("ftp://host/x", "grpc://HOST:PORT/NAME")),
    Case(server_gone, 1, ("127.0.0.1:9", "is pagelift-server running")),
    Case(unknown_image, 1, ("checkpoint-of-another-day", "checkpoint")),
    Case(another_checkpoint, 1, ("another checkpoint", "Check the image")),
    Case(unwritable_work_dir, 1, ("/lazy-pages.socket", "writable")),
    Case(no_criu, 1, ("/nowhere/criu", "--criu")),
    Case(criu_that_fails, 1, ("criu restore failed", "restore.log")),
    Case(damaged_for_criu, 1, ("criu restore failed", "Error (")),
    Case(no_images_option, 2, ("--images DIR",)),
    Case(unknown_option, 2, ("imagse", "--help")),
    Case(status_without_daemon, 1,
         ("no pageliftd answers", "pagelift restore")),
    Case(server_address_taken, 1, ("198.51.100.1:7077",)),
]
