from __future__ import annotations

import operator
import os

from zerocost.base.shared_pool import SharedPool
from zerocost.base.workers import Workers


def test_functions_share_processes_which_start_again_for_a_new_one_and_after_the_end():
    shared = SharedPool(Workers(1))
    process, add = shared.part("process", lambda: os.getpid), shared.part("add", lambda: operator.add)
    first = process.submit().result()
    assert (add.submit(1, 2).result(), process.submit().result()) == (3, first)
    assert shared.part("add", lambda: operator.mul).submit(3, 2).result() == 5  # the first of a name counts
    negate = shared.part("negate", lambda: operator.neg)
    assert (negate.submit(1).result(), add.room) == (-1, 3)
    second = process.submit().result()
    shared.close()
    assert len({os.getpid(), first, second, process.submit().result()}) == 4
    shared.close()
