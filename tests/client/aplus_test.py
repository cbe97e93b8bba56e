"""The public test suite of Promises/A+ (872 cases) against weir's promise: aplus_test.py NODE NPM ADDON FOLDER.

The suite comes from npm, by the lock file beside this script, into FOLDER, where it stays. Without a network, and without
packages that are there already, the test is skipped (77) and says so.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SKIPPED = 77
# Also a registry that is there and has no answer: npm says E429, E502 and such.
NO_NETWORK = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED|"
                        r"ERR_SOCKET_TIMEOUT|EIDLETIMEOUT|E429|E5\d\d)\b")


def install(npm, folder):
    """Brings the packages that the lock file names into the folder; false when there is no network."""
    lock = (HERE / "package-lock.json").read_text()
    stamp = folder / "installed-lock.json"
    if stamp.exists() and stamp.read_text() == lock:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--no-update-notifier"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode == 0:
        stamp.write_text(lock)
        return True
    said = done.stdout + done.stderr
    if NO_NETWORK.search(said):
        return False
    sys.exit(f"npm ci failed:\n{said}")


def main():
    node, npm, addon, folder = sys.argv[1:]
    if not install(npm, Path(folder)):
        print("skipped: the suite is not installed yet, and npm can't reach its registry")
        return SKIPPED
    environment = os.environ | {"WEIR_PROMISE_ADDON": addon}
    return subprocess.run([node, HERE / "run.js", folder], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
