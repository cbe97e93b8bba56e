#!/usr/bin/env python3
"""Nginx's static answer: `return 200` from one worker."""

import sys

sys.dont_write_bytecode = True
import nginx

nginx.become_nginx("Hello, world!")
