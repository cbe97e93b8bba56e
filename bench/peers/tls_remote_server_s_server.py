#!/usr/bin/env python3
"""`openssl s_server -rev`: one connection at a time, and each line comes back reversed.

It does not say which port the system chose when it is quiet, so a free one is chosen here. A grandchild waits until somebody
listens there, says so and ends; this process becomes the server.
"""

import os
import socket
import sys
import time

sys.dont_write_bytecode = True
from memory_file import certificate_and_key


def listens(port):
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in table)


if sys.argv[-1].startswith("request"):
    print("not offered")
    sys.exit()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
child = os.fork()
if child == 0:
    if os.fork() == 0:
        for _ in range(1000):
            if listens(port):
                print("listening", port, flush=True)
                break
            time.sleep(0.01)
    os._exit(0)
os.waitpid(child, 0)
chain, key = certificate_and_key()
os.dup2(os.open(os.devnull, os.O_RDWR), 0)
os.dup2(0, 1)
os.dup2(0, 2)
command = f"openssl s_server -accept 127.0.0.1:{port} -cert {chain} -key {key} -tls1_3 -rev -quiet -no_cache -no_dhe"
os.execvp("openssl", command.split())
