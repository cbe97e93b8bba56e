"""The rules of names: files, test sources, and names that would mean something else in another source.

The hard idea: sources are compiled several at once (cmake/weir.cmake, weir_units), so a header may be read after headers and
sources that it does not include. What it names must be found in the same place all the same.
"""

import re

from tidy_rules import Finding

SCOPE = re.compile(r"\b(?:inline\s+)?namespace(?:\s+([\w:]+))?\s*\{|[{};]")
TYPE = re.compile(
    r"(?:^|\s)(?:class|struct|union|enum(?:\s+(?:class|struct))?)\s+(?:WEIR_[A-Z_]+\s+)*(\w+)(?:\s+final)?\s*(?::(?!:)[^;]*)?$", re.S
)
ALIAS = re.compile(r"^(?:using|concept)\s+(\w+)\s*=", re.S)
VALUE = re.compile(
    r"^(?:(?:inline|constexpr|constinit|const|static|thread_local)\s+)+[\w:\s*&]*?(?<!:)\b(\w+)(?:\s*\[[^\]]*\])*\s*(?:=.*)?$", re.S
)
ATTRIBUTE = re.compile(r"\[\[.*?\]\]|\b(?:alignas|requires)\s*\((?:[^()]|\([^()]*\))*\)", re.S)


def rule_unique_names(tree):
    seen = {}
    for file in tree.cpp():
        if not file.path.startswith(("src/", "bench/", "examples/")):
            continue
        if file.name in seen:
            yield Finding(file.path, 1, "unique-names", f"the file name is taken by {seen[file.name]}")
        else:
            seen[file.name] = file.path


def rule_own_namespace(tree):
    """Tests are compiled several at once (cmake/weir.cmake, weir_units), and helpers of two may have one name."""
    for file in tree.cpp():
        if not (file.path.startswith("src/") and file.name.endswith("_test.cpp")):
            continue
        opened = list(re.finditer(r"^namespace (weir(?:::\w+)*) \{", file.code, re.M))
        strange = [match for match in opened if match.group(1).rsplit("::")[-1] != file.name.removesuffix(".cpp")]
        if strange or not opened:
            line = file.code.count("\n", 0, strange[0].start()) + 1 if strange else 1
            yield Finding(
                file.path, line, "own-namespace",
                f"what a test source has stands in a namespace of its own: namespace weir::{file.name.removesuffix('.cpp')}",
            )


def statements(code):
    """(namespace, text, position) of what stands at namespace scope, up to its first brace or its semicolon. Sources' unnamed
    namespaces are taken for what is around them, where their names are found."""
    scopes = []
    start = 0
    for match in SCOPE.finditer(code):
        inside = None in scopes
        if match.group(0) == "}":
            if scopes:
                scopes.pop()
        elif match.group(0).startswith(("namespace", "inline")) and not inside:
            scopes.append("" if match.group(0).startswith("inline") else match.group(1) or "")
        else:
            if not inside:
                yield "::".join(name for name in scopes if name), code[start : match.start()], start
            if match.group(0) != ";":
                scopes.append(None)
        start = match.end()


def bare(text):
    """A declaration without what stands in angle brackets, attributes and alignments."""
    text = ATTRIBUTE.sub(" ", text)
    while (shorter := re.sub(r"<[^<>{}]*>", " ", text)) != text:
        text = shorter
    return re.sub(r"^\s*(?:template\s+)*", "", text).rstrip()


def names(file):
    """(namespace, name, line) of each type, alias, concept and constant that the file defines at namespace scope. Functions may be
    overloaded, and are not asked; nor are variables that no word such as `constinit` announces."""
    code = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", lambda match: re.sub(r"[^\n]", " ", match.group(0)), file.code, flags=re.M)
    for namespace, text, position in statements(code):
        ends = code[position + len(text)]
        line = code.count("\n", 0, position + len(text) - len(text.lstrip())) + 1
        text = bare(text)
        if "(" in text.split("=")[0]:
            continue
        match = (TYPE.search(text) if ends == "{" else None) or ALIAS.match(text) or VALUE.match(text)
        if match:
            yield namespace, match.group(1), line


def rule_one_meaning(tree):
    """A name of weir's is not one of weir::detail's, too: which of the two a header in detail means would depend on what a source
    has read before it, and classes of two sources would differ. Nor do two files have it in one namespace, unnamed ones included.
    Two in one header are read together, always."""
    taken = {}
    for file in tree.cpp():
        if not file.path.startswith("src/weir/") or file.name.endswith(("_test.cpp", "_bench.cpp", "_fuzz.cpp")):
            continue
        for namespace, name, line in names(file):
            taken.setdefault(name, []).append((namespace, file, line))
    for name, places in taken.items():
        places.sort(key=lambda place: (place[0].count("::"), place[1].path, place[2]))
        for outer, inner in ((a, b) for index, b in enumerate(places) for a in places[:index]):
            is_shared = inner[0] == outer[0] or inner[0].startswith(outer[0] + "::")
            is_allowed = any(file.allows(line, "one-meaning") for _, file, line in (outer, inner))
            if is_shared and inner[1] is not outer[1] and not is_allowed:
                message = f"{name} is also a name in {outer[1].path}:{outer[2]}; which is meant would depend on what was read before"
                yield Finding(inner[1].path, inner[2], "one-meaning", message)
                break


RULES = (rule_unique_names, rule_own_namespace, rule_one_meaning)
