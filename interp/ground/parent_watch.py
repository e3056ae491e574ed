"""A worker process that ends when the process that started it is gone.

A killed parent cannot tell its workers, and theirs would wait minutes for work that nobody hands them.
"""

import os
import threading
import time

SECONDS_BETWEEN_LOOKS = 0.5


def end_with(parent: int, workers: int = 0) -> None:
    """From now on this process ends, at once and without a word, as soon as its parent is another than this one.

    The number of its kind of workers only tells it from others.

    Not by prctl(PR_SET_PDEATHSIG): that follows the thread that started a process, and threads of a parent come and
    go. Windows keeps the number of a parent that is gone, so that nothing ends there.
    """
    watch = threading.Thread(target=_look, args=(parent,), name="parent watch", daemon=True)
    watch.start()


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
