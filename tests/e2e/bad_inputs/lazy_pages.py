"""`pagelift lazy-pages`, in place of CRIU's."""

import select
import socket

from harness import incremental, tools
from harness.namespaces import Failed
from harness.setting import Result, Setting, result_of
from harness.waiting import wait_until

from .spoiling import Case, make_another, make_foreign, truncate_by_a_page


def lazy_pages_of_truncated_pages(s: Setting) -> Result:
    images = s.copy("truncated-for-lazy-pages")
    truncate_by_a_page(images)
    return s.lazy_pages(s.make_folder("work-truncated"), "-D", images)


def lazy_pages_of_a_foreign_file(s: Setting) -> Result:
    images = s.copy("foreign-for-lazy-pages")
    make_foreign(images)
    return s.lazy_pages(s.make_folder("work-foreign"), "-D", images)


def lazy_pages_of_an_unknown_image(s: Setting) -> Result:
    return s.lazy_pages(s.make_folder("work-unknown"), "-D", s.images,
                        "--source", s.url + "-of-another-day")


def lazy_pages_of_another_checkpoint(s: Setting) -> Result:
    images = s.copy("another-for-lazy-pages")
    make_another(images)
    return s.lazy_pages(s.make_folder("work-another"), "-D", images,
                        "--source", s.url)


def lazy_pages_of_a_server_that_is_gone(s: Setting) -> Result:
    return s.lazy_pages(s.make_folder("work-gone"), "-D", s.images,
                        "--source", "grpc://127.0.0.1:9/checkpoint")


def lazy_pages_of_a_criu_server_that_is_gone(s: Setting) -> Result:
    return s.lazy_pages(s.make_folder("work-criu-gone"), "-D", s.images,
                        "--page-server", "--address", "127.0.0.1", "--port",
                        "9")


def lazy_pages_of_parents_from_a_criu_server(s: Setting) -> Result:
    """CRIU's page server would wait for ever for pages that it does not have,
    and whoever connects to it decides the fate of what it holds."""
    last = incremental.split(s.images, s.folder / "parent-for-criu", 3,
                             incremental.any_age)
    with s.guest.network(), socket.create_server(("127.0.0.1", 0)) as server:
        result = s.lazy_pages(
            s.make_folder("work-parent"), "-D", last, "--page-server",
            "--address", "127.0.0.1", "--port", str(server.getsockname()[1]))
        if select.select([server], [], [], 0)[0]:
            raise Failed("it has connected to the page server")
    return result


def lazy_pages_without_a_directory(s: Setting) -> Result:
    return s.run(tools.pagelift("pagelift"), "lazy-pages", "-D", s.images,
                 "-W", "/proc/self")


def criu_page_server_that_hangs_up(s: Setting) -> Result:
    """It ends the connection when it is asked for a page, before the process
    runs: as one does that may not have large pipes."""
    port = 27011
    work = s.make_folder("work-hung-up")
    server = s.guest.start("a server that hangs up", [
        "/usr/bin/python3", "-c", "import socket; server = socket.create_server("
        f"('127.0.0.1', {port})); print(flush=True); server.accept()[0].recv(1)"],
        s.folder / "hanging-up.log")
    wait_until("the server listening", lambda: server.log.stat().st_size > 0,
               meanwhile=server.raise_if_ended)
    lazy_pages = s.start_lazy_pages(
        "-D", s.images, "-W", work, "--page-server", "--address", "127.0.0.1",
        "--port", str(port))
    restored = s.criu_restore(work)
    if restored.code == 0:
        raise Failed("criu restore went well without its pages")
    s.expect_nothing_runs(restored)
    return result_of(lazy_pages)


CASES = [
    Case(lazy_pages_of_truncated_pages, 1,
         ("pages-", "bytes", "copy the checkpoint again")),
    Case(lazy_pages_of_a_foreign_file, 1, ("inventory.img", "no CRIU image")),
    Case(lazy_pages_of_an_unknown_image, 1,
         ("checkpoint-of-another-day", "there is: checkpoint")),
    Case(lazy_pages_of_another_checkpoint, 1,
         ("another checkpoint", "Check the image")),
    Case(lazy_pages_of_a_server_that_is_gone, 1,
         ("127.0.0.1:9", "is pagelift-server running")),
    Case(lazy_pages_of_a_criu_server_that_is_gone, 1,
         ("127.0.0.1:9", "criu dump --lazy-pages")),
    Case(lazy_pages_of_parents_from_a_criu_server, 1,
         ("parent-for-criu/dump-3 has parent images", "does not serve",
          "--source")),
    Case(lazy_pages_without_a_directory, 1, ("/lazy-pages.socket", "writable")),
    Case(criu_page_server_that_hangs_up, 1,
         ("lazy-pages: the source", "is gone", "fs.pipe-max-size")),
]
