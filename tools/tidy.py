#!/usr/bin/env python3
"""Checks the rules of the code (docs/dev/hacking.md lists them). Needs Python's standard library and clang 19 only."""

import argparse
import os
import sys
import time
from pathlib import Path

import tidy_clang
import tidy_includes
import tidy_names
import tidy_rules


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path)
    parser.add_argument("--fix", action="store_true", help="format, break long lines of cards, lower the ratchet")
    parser.add_argument("--text-only", action="store_true", help="only the rules that need no compiler")
    parser.add_argument("--clang-tidy", action="store_true", help="also run clang-tidy (slow the first time)")
    parser.add_argument("--docs", action="store_true", help="refresh the code blocks of the documents and check them")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()

    tree = tidy_rules.Tree(options.root)
    findings = []
    if options.docs:
        for path in tidy_rules.refresh_docs(tree):
            print(f"refreshed {path}")
        findings += tidy_rules.rule_docs(tidy_rules.Tree(options.root))
    else:
        if options.fix:
            tidy_rules.wrap_cards(tree)
            tidy_clang.format_all(tree)
            tree = tidy_rules.Tree(options.root)
            tidy_rules.lower_ratchet(tree)
            tree = tidy_rules.Tree(options.root)
        for rule in tidy_rules.RULES + tidy_names.RULES + tidy_includes.RULES:
            findings += rule(tree)
        if not options.text_only:
            rules = tidy_clang.RULES + ((tidy_clang.rule_clang_tidy,) if options.clang_tidy else ())
            cache = tidy_clang.Cache(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weir-tidy")
            for rule in rules:
                begin = time.monotonic()
                found = set(rule(tree, cache, options.jobs))
                findings.extend(found)
                name = rule.__name__.removeprefix("rule_").replace("_", "-")
                print(f"tidy: {name}: {len(found)} findings, {time.monotonic() - begin:.1f} s", flush=True)
            cache.save()
    findings = sorted(set(findings))
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings in {len(tree.files)} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
