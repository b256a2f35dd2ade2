"""The first process of a pid namespace.

    init.py FD

Reaps orphans until the other end of the socket FD is closed. Everything else in
the namespace dies with it, whatever became of whoever made it.
"""

import os
import selectors
import signal
import socket
import sys


def main() -> None:
    wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    maker = socket.socket(fileno=int(sys.argv[1]))
    maker.set_inheritable(False)
    maker.send(b"\n")  # Its credentials tell the maker our pid, as seen there.
    selector = selectors.DefaultSelector()
    selector.register(maker, selectors.EVENT_READ)
    selector.register(wakeup_read, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is maker:
                return
            os.read(wakeup_read, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
