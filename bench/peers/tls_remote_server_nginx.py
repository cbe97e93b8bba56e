#!/usr/bin/env python3
"""Nginx over TLS 1.3: `return 200` from one worker. Sessions are in tickets, as everywhere in this benchmark."""

import sys

sys.dont_write_bytecode = True
import nginx
from memory_file import certificate_and_key

if sys.argv[-1].startswith("echo"):
    print("not offered")
    sys.exit()
chain, key = certificate_and_key()
nginx.become_nginx("w" * 64, "ssl", f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;")
