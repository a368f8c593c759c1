"""Keeps a server for as long as somebody wants it: ``python keeper.py FOLDER LOG GRACE COMMAND...``

Prints the server's process id. When its standard input ends, because whoever started it has closed it, ended or been
killed, it ends the server and deletes the folder. So no server outlives the tests, not even a kill -9 of pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading


def main(folder: str, log: str, grace: str, *command: str) -> None:
    with open(log, 'ab') as output:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    print(server.pid, flush=True)
    # A server that ends by itself, or is killed by a test, must not stay as a zombie.
    threading.Thread(target=server.wait, daemon=True).start()
    sys.stdin.read()
    if float(grace):
        server.terminate()
        try:
            server.wait(float(grace))
        except subprocess.TimeoutExpired:
            pass
    server.kill()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == '__main__':
    main(*sys.argv[1:])
