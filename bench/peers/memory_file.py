"""Files that peers of the benchmarks are started with, in memory."""

import os
import re
from pathlib import Path

CERTIFICATE = Path(__file__).resolve().parent.parent / "tls_certificate.hpp"


def memory_file(text):
    """The path of a file that this process, and the program that takes its place, can open."""
    handle = os.memfd_create("file", 0)  # outlives exec
    os.write(handle, text.encode())
    return f"/proc/self/fd/{handle}"


def certificate_and_key():
    """The paths of the certificate of the benchmarks and of its key."""
    blocks = re.findall(r"-----BEGIN [^-]*-----\n.*?-----END [^-]*-----\n", CERTIFICATE.read_text(), re.DOTALL)
    return [memory_file(text) for text in blocks]
