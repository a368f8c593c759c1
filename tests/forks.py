"""Work in a fork of the process that tests."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

#: Seconds after which a fork counts as hung.
PATIENCE = 100


def in_a_fork(work: Callable[[], Any], patience: int = PATIENCE) -> Any:
    """What a function returns in a fork of this process; JSON. Where it hangs, the error says at which line."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Says where every thread is, and then does what the signal does: end the process.
        faulthandler.register(signal.SIGALRM, file=write, chain=True)
        signal.alarm(patience)
        try:
            answer = json.dumps(['returned', work()])
        except BaseException:  # noqa: BLE001  # whatever it is, the parent shows it
            answer = json.dumps(['raised', traceback.format_exc()[-3000:]])
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    assert text.startswith('["'), f'the fork hung:\n{text}'
    kind, value = json.loads(text)
    assert kind == 'returned', value
    return value
