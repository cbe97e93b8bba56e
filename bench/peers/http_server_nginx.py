#!/usr/bin/env python3
"""Nginx's static answer: `return 200` from one worker, which logs nothing.

Nginx can't tell which port the system chose, so the listening socket is made here and handed over, as nginx hands its own
to its successor in an upgrade of the running program (the variable NGINX). Its configuration is a file in memory.
"""

import os
import socket

CONFIGURATION = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr emerg;
pid %(pid)s;
events {
  use epoll;
  worker_connections 16384;
}
http {
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    location / {
      default_type text/plain;
      return 200 "Hello, world!";
    }
  }
}
"""


def file_in_memory(name, text):
    handle = os.memfd_create(name, 0)  # outlives exec
    os.write(handle, text.encode())
    return f"/proc/self/fd/{handle}"


listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
os.set_inheritable(listener.fileno(), True)
port = listener.getsockname()[1]
print("listening", port, flush=True)
configuration = file_in_memory("configuration", CONFIGURATION % {"pid": file_in_memory("pid", ""), "port": port})
os.environ["NGINX"] = f"{listener.fileno()};"
os.execvp("nginx", ["nginx", "-e", "/dev/null", "-c", configuration])
