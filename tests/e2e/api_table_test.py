"""docs/reference/http-api-tests.md names a test for each endpoint, parameter, field, status, code, setting and metric
of the HTTP interface. What there is to test is read from the sources and documents, and every test named must exist
and speak of its row; so a row can't be forgotten and can't rot.

`--draft` prints rows for what the table lacks, with the tests that mention it.
"""

import collections
import glob
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = "docs/reference/http-api-tests.md"
TEST_FILES = [*(f"tests/e2e/{name}_test.py" for name in ("faults", "http", "http_refusals", "kill9", "security")), *sorted(
    os.path.relpath(path, ROOT) for floor in ("serve", "http", "broker") for path in glob.glob(f"{ROOT}/src/weir/{floor}/*_test.cpp"))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def sources(*patterns):
    paths = [path for pattern in patterns for path in sorted(glob.glob(f"{ROOT}/src/weir/{pattern}"))]
    return "\n".join(read(os.path.relpath(path, ROOT)) for path in paths if not path.endswith("_test.cpp"))


def found(pattern, text):
    return list(dict.fromkeys(re.findall(pattern, text)))


def wanted():
    """What there is to test: {section: [item]}."""
    document = read("docs/reference/http-api.md")
    errors = document[document.index("## Errors"):document.index("## Queues")]
    codes = []
    for status, cell in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", errors, re.M):
        codes += [f"{status} {code}" for code in re.findall(r"`(\w+)`", cell)]
    settings = document[document.index("## Queues"):document.index("## Messages")]
    settings = re.findall(r"^\| (`[a-z_][^|]*) \|", settings, re.M)
    names = []
    for cell in settings:
        first = ""
        for name in re.findall(r"`([\w.]+)`", cell):
            first = name.split(".")[0] if not name.startswith(".") else first
            names.append(first + name if name.startswith(".") else name)
    answers = sources("serve/answer_json.cpp", "serve/service_*.cpp", "serve/api_problem.cpp")
    routes = re.findall(r'\{"([A-Z]+)", "(/[^"]*)", "\w+"\}', sources("serve/routes.cpp"))
    return {
        "Endpoints": [f"{method} {pattern}" for method, pattern in routes],
        "Parameters": [f"?{name}" for name in dict.fromkeys(re.findall(r'params->(?:length|whole|text)\("(\w+)"', answers))],
        "Fields of a request": [f"{name}:" for name in found(r'"(Weir-[A-Z][A-Za-z-]*)"', sources("serve/submit_fields.cpp"))
                                + ["Content-Type", "Authorization", "Origin", "Host"] + found(r'time_left_field = "([\w-]+)"', sources("http/exchange.hpp"))],
        "Members of an entry of a batch": found(r'from\.(?:text|length|whole)\("(\w+)"', sources("serve/submit_fields.cpp")) ,
        "Settings of a queue": names,
        "Members of answers": [f'"{name}"' for name in found(r'(?:field|begin_object|begin_array|null)\(\s*"(\w+)"', answers)
                               + found(r'append_\w+\(\s*out, "(\w+)"', answers) + found(r'append_bytes\(out, "\w+", "(\w+)"', answers)],
        "Fields of an answer": ["Location:", "Retry-After:", "Allow:", "WWW-Authenticate:"],
        "Errors": codes,
        "Events": [f"event {name}" for name in found(r'return "(\w+)";', read("src/weir/serve/answer_json.cpp")) if name != "unknown"] + ["event state", "event dropped"],
        "Calls to workers": [f"{name}:" for name in found(r'\{"(Weir-[A-Z]\w+)"', sources("serve/push_lane.cpp"))]
        + ["answer 2xx", "answer 429", "answer 503", "answer 410", "answer other", "no answer in time", "no connection", "reply"],
        "Metrics": found(r'"(weir_[a-z_]+)"', sources("serve/service_health.cpp", "serve/service_counters.cpp")),
        "The config file": found(r'"([a-z_]+)"', read("src/weir/serve/server_config.cpp").split("answer<server_config> read_config")[1]),
        "The life of the server": ["kill -9", "a graceful end", "its next life", "one data folder", "an address for all"],
    }


def tests_in(path):
    """{name: body} of a test file, in Python or C++."""
    text = read(path)
    if path.endswith(".py"):
        parts = re.split(r"^    def (test_\w+)\(", text, flags=re.M)
    else:
        parts = re.split(r'^(?:WEIR_TEST\(\s*((?:"[^"\n]*"\s*)+)\)|TEST(?:_F)?\((\w+,\s*\w+)\))', text, flags=re.M)
        names = [a or b for a, b in zip(parts[1::3], parts[2::3])]
        return {re.sub(r'"\s*"', "", name).strip('"\n '): body for name, body in zip(names, parts[3::3])}
    shared = parts[0]
    return {name: body + (shared if "SETTINGS" in body or "class Limits" in text else "") for name, body in zip(parts[1::2], parts[2::2])}


def word_of(item):
    """What a test of this item has to mention: its last word."""
    return re.split(r"[\s./*?\"]+", item.rstrip('":/*'))[-1] if not item.startswith(("answer", "no ", "kill", "a ", "its", "one")) else ""


def rows():
    """[(section, item, [(file, test)])]"""
    listed, section = [], ""
    for line in read(TABLE).splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = re.match(r"^\| `(.+?)` \| (.+) \|$", line)
        if cells:
            named = re.findall(r"`([\w/.]+): ([^`]+)`", cells[2])
            listed.append((section, cells[1], named))
    return listed


class Table(unittest.TestCase):
    def test_everything_that_there_is_has_a_row(self):
        have = collections.defaultdict(set)
        for section, item, _ in rows():
            have[section].add(item)
        for section, items in wanted().items():
            self.assertTrue(items, f"nothing was found for '{section}': has its source moved?")
            self.assertEqual(set(items) - have[section], set(), f"'{section}' lacks rows (see --draft)")
            self.assertEqual(have[section] - set(items), set(), f"'{section}' has rows of what is not there")

    def test_the_tests_of_each_row_exist_and_speak_of_it(self):
        known = {}
        for section, item, named in rows():
            with self.subTest(f"{section}: {item}"):
                self.assertTrue(named, "no test is named")
                bodies = []
                for file, test in named:
                    path = next((path for path in TEST_FILES if os.path.basename(path) == file), None)
                    self.assertIsNotNone(path, f"there is no file {file}")
                    if path not in known:
                        known[path] = tests_in(path)
                    self.assertIn(test, known[path], f"{file} has no such test")
                    bodies.append(test + known[path][test])
                self.assertTrue(any(word_of(item).lower() in body.lower() for body in bodies), f"no test mentions '{word_of(item)}'")

    def test_each_code_that_the_server_can_give_is_documented(self):
        text = sources("serve/*.cpp", "broker/broker_errc.cpp")
        given = set(found(r'refused\(\s*\d{3}, "(\w+)"', text)) | set(found(r'\.code = "(\w+)"', text))
        given |= set(found(r'return "(\w+)";', read("src/weir/broker/broker_errc.cpp"))) - {"unknown"}
        documented = {item.split()[1] for item in wanted()["Errors"]}
        self.assertEqual(given - documented, set())


def draft():
    bodies = {(os.path.basename(path), name): body for path in TEST_FILES for name, body in tests_in(path).items()}
    have = {(section, item) for section, item, _ in rows()} if os.path.exists(os.path.join(ROOT, TABLE)) else set()
    for section, items in wanted().items():
        print(f"\n## {section}\n| | tests |\n|---|---|")
        for item in items:
            if (section, item) in have:
                continue
            word = word_of(item)
            near = [f"`{file}: {name}`" for (file, name), body in bodies.items() if word and re.search(rf"\b{re.escape(word)}\b", body)]
            print(f"| `{item}` | {', '.join(near[:2])} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["--draft"]:
        draft()
    else:
        unittest.main()
