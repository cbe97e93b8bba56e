"""How nginx is started as a peer: one worker, which logs nothing and answers each request with the same text.

Nginx can't tell which port the system chose, so the listening socket is made here and handed over, as nginx hands its own
to its successor in an upgrade of the running program (the variable NGINX). Its configuration is a file in memory.
"""

import os
import socket

from memory_file import memory_file

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
    listen 127.0.0.1:%(port)d %(how)s backlog=4096;
    %(settings)s
    location / {
      default_type text/plain;
      return 200 "%(answer)s";
    }
  }
}
"""


def become_nginx(answer, how="", settings=""):
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    os.set_inheritable(listener.fileno(), True)
    port = listener.getsockname()[1]
    print("listening", port, flush=True)
    values = {"pid": memory_file(""), "port": port, "answer": answer, "how": how, "settings": settings}
    os.environ["NGINX"] = f"{listener.fileno()};"
    os.execvp("nginx", ["nginx", "-e", "/dev/null", "-c", memory_file(CONFIGURATION % values)])
