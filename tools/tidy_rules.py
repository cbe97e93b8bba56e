"""The rules that need only the text of the tree. Each rule is a function from a Tree to findings.

The hard idea: no C++ parser. Comments and literals are blanked first (positions stay), and then braces,
includes and declarations can be read by pattern; what a pattern can't decide is left to clang.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

HEADER_LINES_MAX = 300
SOURCE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CARD = ("Cancel", "Order", "Bound", "Errors", "Threads")
SKIPPED_FOLDERS = {"build", ".git", ".cache", "weir-data", "__pycache__", "node_modules", "install"}
HEAVY_HEADERS = {"chrono", "iostream", "functional", "regex"}


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message} [{self.rule}]"


def blank(text):
    """The text with comments replaced by spaces and literals by underscores; line breaks stay where they were."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^()\\\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-zA-Z_])\'(?:\\.|[^\'\\\n])+\'',
        re.S,
    )

    def wipe(match):
        found = match.group(0)
        if found.startswith("//") or found.startswith("/*"):
            return re.sub(r"[^\n]", " ", found)
        return re.sub(r"[^\n]", "_", found)  # a literal still counts as one token

    return token.sub(wipe, text)


@dataclass
class File:
    path: str  # relative to the root, with forward slashes
    text: str
    lines: list = field(init=False)

    def __post_init__(self):
        self.lines = self.text.split("\n")
        self._code = None

    @property
    def code(self):
        if self._code is None:
            self._code = blank(self.text)
        return self._code

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self):
        return self.name.rsplit(".", 1)[0]

    @property
    def is_header(self):
        return self.name.endswith(".hpp")

    @property
    def is_cpp(self):
        return self.name.endswith((".hpp", ".cpp"))

    @property
    def is_check(self):
        """Tests, benchmarks and fuzzers: they may use the simulator and the test kit."""
        return self.stem.endswith(("_test", "_bench", "_fuzz"))

    @property
    def module(self):
        """The floor's name: src/weir/core/x.hpp and the umbrella header src/weir/core.hpp belong to core."""
        parts = self.path.split("/")
        if parts[:2] != ["src", "weir"] or len(parts) < 3:
            return None
        return parts[2] if len(parts) > 3 else self.stem

    @property
    def is_public(self):
        """Public headers are what is installed and read by users; detail/ is installed but not for reading."""
        return (
            self.is_header
            and self.path.startswith("src/weir/")
            and not self.is_check
            and self.module != "apps"
            and "/internal/" not in self.path
            and "/detail/" not in self.path
        )

    def allows(self, line, rule):
        """A line may break a rule when it, or the line above, says `tidy-allow(rule): why`."""
        near = self.lines[max(0, line - 2) : line]
        return any(re.search(rf"tidy-allow\({rule}\): \S", text) for text in near)


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.files = []
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root)
            if path.is_file() and not SKIPPED_FOLDERS.intersection(relative.parts):
                if path.suffix in (".hpp", ".cpp", ".md", ".py", ".cmake", ".txt", ".sh", "") and _is_text(path):
                    self.files.append(File(relative.as_posix(), path.read_text(encoding="utf-8", errors="replace")))
        self.by_path = {file.path: file for file in self.files}

    def cpp(self):
        return [file for file in self.files if file.is_cpp]

    def read(self, path):
        return self.by_path[path].text if path in self.by_path else ""


def _is_text(path):
    if path.stat().st_size > 1_000_000:
        return False
    with path.open("rb") as stream:
        return b"\0" not in stream.read(1024)


INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^>\"]+)[>\"]")


def includes(file):
    """(line, bracket, target) of each include that is not inside a comment."""
    code = file.code.split("\n")
    for number, line in enumerate(file.lines, 1):
        match = INCLUDE.match(line)
        if match and code[number - 1].strip():
            yield number, match.group(1), match.group(2)


def parse_floors(text):
    """name -> (number, extra modules); the number is None for what only tests may include."""
    floors = {}
    for line in text.split("\n"):
        words = line.split("#")[0].split()
        if len(words) >= 2:
            floors[words[1]] = (None if words[0] == "+" else int(words[0]), set(words[2:]))
    return floors


def rule_floors(tree):
    floors = parse_floors(tree.read("floors.txt"))
    for file in tree.cpp():
        if file.module is None:
            continue
        if file.module not in floors:
            yield Finding(file.path, 1, "floors", f"module '{file.module}' is not in floors.txt")
            continue
        number, extra = floors[file.module]
        for line, bracket, target in includes(file):
            if bracket == '"':
                yield Finding(file.path, line, "floors", f'write the include as <weir/...>, not "{target}"')
                continue
            if not target.startswith("weir/"):
                continue
            other = target.split("/")[1].removesuffix(".hpp")
            if other not in floors:
                yield Finding(file.path, line, "floors", f"<{target}>: module '{other}' is not in floors.txt")
                continue
            if f"src/{target}" not in tree.by_path:
                yield Finding(file.path, line, "floors", f"<{target}> does not exist")
            other_number = floors[other][0]
            if "/internal/" in target and other != file.module:
                yield Finding(file.path, line, "floors", f"<{target}> is internal to '{other}'")
            if other == file.module or other in extra:
                continue
            if other_number is None:
                if number is not None and not file.is_check:
                    yield Finding(file.path, line, "floors", f"only tests may include '{other}'")
            elif number is not None and other_number >= number:
                yield Finding(
                    file.path, line, "floors",
                    f"'{file.module}' (floor {number}) must not include '{other}' (floor {other_number})",
                )


def own_header(tree, file):
    """x.cpp, x_test.cpp, x_bench.cpp and x_fuzz.cpp belong to x.hpp in the same folder (or above internal/)."""
    if file.is_header or not file.path.startswith("src/"):
        return None
    noun = re.sub(r"_(test|bench|fuzz)$", "", file.stem)
    folder = file.path.rsplit("/", 1)[0]
    for place in (folder, folder.removesuffix("/internal")):
        path = f"{place}/{noun}.hpp"
        if path in tree.by_path:
            return path.removeprefix("src/")
    return None


def rule_include_order(tree):
    def rank(target):
        if target.startswith("weir/"):
            return 1
        return 3 if re.fullmatch(r"[a-z_0-9]+", target) else 2

    for file in tree.cpp():
        own = own_header(tree, file)
        depth, conditional = 0, set()  # what stands inside #if has its own reasons for its place
        for number, line in enumerate(file.code.split("\n"), 1):
            depth += bool(re.match(r"\s*#\s*if", line)) - bool(re.match(r"\s*#\s*endif", line))
            if depth:
                conditional.add(number)
        found = [item for item in includes(file) if item[0] not in conditional]
        if own and (not found or found[0][2] != own):
            line = found[0][0] if found else 1
            yield Finding(file.path, line, "include-order", f"the first include must be its own header <{own}>")
        if own:
            found = [item for item in found if item[2] != own]
        if file.is_header:  # the bodies of its templates come last
            found = [item for item in found if not item[2].endswith(f"/detail/{file.stem}_impl.hpp")]
        highest = 0
        for line, bracket, target in found:
            if bracket == '"':
                continue
            if rank(target) < highest:
                yield Finding(
                    file.path, line, "include-order", f"<{target}> comes too late: weir, then other libraries, then std"
                )
            highest = max(highest, rank(target))


CONTAINER = re.compile(r"^\s*(?:(?:public|private|protected)\s*:\s*|inline\s+)*(?:(?:namespace|class|struct|union|enum)\b|extern\s+_)")


def functions(file):
    """(name, first line, last line) of each outermost function body; lambdas count as part of it."""
    directive = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
    code = directive.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), file.code)
    stack = []  # "container": a namespace or class, "function": its body, "other": anything else in braces
    head_start = 0  # where the declaration that may open the next brace began
    opened = None
    for position, char in enumerate(code):
        declares = not stack or stack[-1] == "container"
        if char == "{":
            head = code[head_start:position]
            kind = _kind(head) if declares else "other"
            stack.append(kind)
            if kind == "function":
                first = head_start + len(head) - len(head.lstrip())
                opened = (_function_name(head), code.count("\n", 0, first) + 1)
            elif kind == "container":
                head_start = position + 1
        elif char == "}" and stack:
            kind = stack.pop()
            if kind == "function":
                yield (*opened, code.count("\n", 0, position) + 1)
            if kind != "other":
                head_start = position + 1
        elif char == ";" and declares:
            head_start = position + 1


def _kind(head):
    """What the brace after a declaration's head opens."""
    flat = re.sub(r"\[\[.*?\]\]", " ", head, flags=re.S)
    shorter = None
    while shorter != flat:  # template parameter lists and arguments may hold `class`, `=` and `:`
        shorter, flat = flat, re.sub(r"<[^<>{};]*>", " ", flat)
    flat = re.sub(r"\btemplate\b", " ", flat)
    if re.search(r"\brequires\s*(\([^)]*\))?\s*$", flat):
        return "other"
    if CONTAINER.search(flat):
        return "container"
    if "(" not in flat or re.search(r"=\s*$", flat):
        return "other"
    tail = flat[flat.rfind(")") + 1 :]
    # In a constructor's initialiser list `x(int a) : a_{a}, b_{2} {` only the last brace opens the body.
    if "->" not in tail and re.search(r"((?<!:):(?!:)|,)\s*[\w:]+\s*$", tail):
        return "other"
    return "function"


def _function_name(head):
    test = re.search(r"\b(TEST(?:_F|_P)?|TYPED_TEST(?:_P)?|BENCHMARK\w*)\s*\(\s*(\w+)\s*,\s*(\w+)", head)
    if test:
        return f"{test.group(2)}.{test.group(3)}"
    match = re.search(r"([~\w:]+|operator\s*\S+?)\s*\(", head)
    return match.group(1) if match else "?"


def measure(tree):
    """Everything over a limit: (kind, path, name or -) -> (line, size, limit)."""
    over = {}
    for file in tree.cpp():
        count = len(file.lines) - (1 if file.lines and file.lines[-1] == "" else 0)
        limit = HEADER_LINES_MAX if file.is_header else SOURCE_LINES_MAX
        if count > limit:
            over["lines", file.path, "-"] = (1, count, limit)
        for name, first, last in functions(file):
            if last - first + 1 > FUNCTION_LINES_MAX:
                over["function", file.path, name] = (first, last - first + 1, FUNCTION_LINES_MAX)
    return over


RATCHET = "tools/ratchet.txt"


def rule_length(tree):
    listed = {}
    for number, line in enumerate(tree.read(RATCHET).split("\n"), 1):
        words = line.split("#")[0].split()
        if words:
            listed[tuple(words[:3])] = (number, int(words[3]))
    over = measure(tree)
    for (kind, path, name), (line, size, limit) in over.items():
        allowed = listed.get((kind, path, name), (0, limit))[1]
        what = f"function {name}" if kind == "function" else "file"
        if size > allowed:
            yield Finding(path, line, "length", f"{what} has {size} lines, {allowed} are allowed: split it by noun")
    for key, (number, allowed) in listed.items():
        size = over.get(key, (0, 0, 0))[1]
        if size < allowed:
            say = f"now has {size} lines" if size else "is within its limit"
            yield Finding(RATCHET, number, "length", f"{key[1]} {key[2]} {say}: lower or remove this line (--fix does)")


def lower_ratchet(tree):
    """Writes the ratchet anew with what is smaller today; never with what is larger."""
    over = measure(tree)
    kept = []
    for line in tree.read(RATCHET).split("\n"):
        words = line.split("#")[0].split()
        if not words:
            kept.append(line)
        elif tuple(words[:3]) in over:
            kept.append(" ".join([*words[:3], str(min(int(words[3]), over[tuple(words[:3])][1]))]))
    if tree.read(RATCHET) != "\n".join(kept):
        (tree.root / RATCHET).write_text("\n".join(kept), encoding="utf-8")


def rule_columns(tree):
    for file in tree.cpp():
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS_MAX and not re.search(r"https?://\S{60}", line):
                if not file.allows(number, "columns"):
                    yield Finding(file.path, number, "columns", f"{len(line)} columns, {COLUMNS_MAX} are allowed")


CLASS = re.compile(
    r"^[ \t]*(?:template\s*<[^;{]*?>\s*(?:requires[^;{]*?\s)?)?class\s+(?:\[\[[^{;]*?\]\]\s*)*(\w+)(?:\s+final)?\s*(?::[^;{]*)?\{",
    re.M | re.S,
)


def rule_cards(tree):
    """Every class (not struct) at namespace scope of a public header opens with a sentence and the five lines."""
    for file in tree.files:
        if not file.is_public:
            continue
        for match in CLASS.finditer(file.code):
            if not _at_public_scope(file.code[: match.start()]):
                continue
            start = match.start() + len(match.group(0)) - len(match.group(0).lstrip())
            line = file.code.count("\n", 0, start) + 1
            name = match.group(1)
            if file.allows(line, "card"):
                continue
            comment = []
            above = line - 2
            while above >= 0 and re.match(r"\s*///", file.lines[above]):
                comment.insert(0, file.lines[above].strip()[3:].strip())
                above -= 1
            labels = [text.split(":")[0] for text in comment if re.match(rf"({'|'.join(CARD)}):", text)]
            if not comment:
                yield Finding(file.path, line, "card", f"class {name} has no contract card (/// sentence and five lines)")
            elif not comment[0].endswith((".", ":")) and not (len(comment) > 1 and comment[1]):
                yield Finding(file.path, line, "card", f"the card of {name} must open with a sentence")
            elif labels != list(CARD):
                yield Finding(
                    file.path, line, "card",
                    f"the card of {name} must have the lines {', '.join(CARD)} in this order; it has: {', '.join(labels) or 'none'}",
                )
            else:
                for text in comment:
                    if re.fullmatch(rf"({'|'.join(CARD)}):\s*", text):
                        yield Finding(file.path, line, "card", f"the card of {name} has an empty line '{text.strip()}'")


def wrap_cards(tree):
    """Breaks the lines of contract cards that are too long; clang-format leaves them alone."""
    label = re.compile(rf"( *)/// (?:{'|'.join(CARD)}):")
    for file in tree.cpp():
        lines = []
        for line in file.lines:
            while len(line) > COLUMNS_MAX and (match := label.match(line) or re.match(r"( *)/// {10}\S", line)):
                cut = line.rfind(" ", len(match.group(0)) + 9, COLUMNS_MAX + 1)
                if cut < 0:
                    break
                lines.append(line[:cut].rstrip())
                line = f"{match.group(1)}/// {' ' * 9}{line[cut:].lstrip()}"
            lines.append(line)
        if lines != file.lines:
            (tree.root / file.path).write_text("\n".join(lines), encoding="utf-8")


def _at_public_scope(before):
    """True when all open braces are namespaces, and none of them is detail or anonymous."""
    stack = []
    head_start = 0
    for position, char in enumerate(before):
        if char == "{":
            stack.append(before[head_start:position])
            head_start = position + 1
        elif char == "}":
            if stack:
                stack.pop()
            head_start = position + 1
        elif char == ";":
            head_start = position + 1
    for head in stack:
        match = re.search(r"\bnamespace\s+([\w:]+)\s*$", head)
        if not match or "detail" in match.group(1) or "internal" in match.group(1):
            return False
    return bool(stack)


TEST_SLEEPS = re.compile(r"\b(sleep_for|this_thread::sleep_until|usleep|nanosleep)\s*\(")
ARRANGEMENTS = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/[\w.]+|(?:^|[\s(`])shared/\w+\.md|\b[Ii]ssue #?\d+\b")
COMMENTED_CODE = re.compile(
    r"""^\s*//(?!/)\s*(
        \#\s*(include|define|if|endif)\b.*
      | (if|for|while|switch)\s*\(.*[;{]\s*$
      | (return|co_return|co_await|delete|throw)(\s+\S*|\s.*\(.*\))?;\s*$
      | (auto|const|int|bool|std::\S+)\s.*=.*;\s*$
      | [\w:.>\[\]-]+(\(.*\)|\s*[-+|&]?=\s.*);\s*$
      | [{}]\s*$
      )""",
    re.X,
)


def rule_words(tree):
    for file in tree.files:
        if file.name in ("tidy_rules.py", "tidy_test.py", "LICENSE"):
            continue  # they name the words
        code = file.path.endswith((".hpp", ".cpp", ".py", ".cmake", ".sh")) or file.name in ("dev", "run", "CMakeLists.txt")
        for number, line in enumerate(file.lines, 1):
            found = []
            if code and re.search(r"\b(FIXME|XXX)\b", line):
                found.append("FIXME and XXX do not land: mend it, or write TODO(kind): with the plan")
            if code and re.search(r"\bTODO\b(?!\((\w+)\): \S)", line):
                found.append("a TODO has a kind and a text: TODO(perf): ...")
            if file.is_cpp and file.is_check and TEST_SLEEPS.search(file.code.split("\n")[number - 1]):
                found.append("tests do not sleep: use virtual time or wait for the condition")
            if file.is_cpp and COMMENTED_CODE.match(line):
                found.append("commented-out code does not land")
            if ARRANGEMENTS.search(line):
                found.append("names a place or number that means nothing to a reader of the repository")
            for message in found:
                if not file.allows(number, "words"):
                    yield Finding(file.path, number, "words", message)


def rule_heavy_includes(tree):
    """<chrono>, <iostream>, <functional> and <regex> stay out of public headers (chrono.hpp may convert)."""
    for file in tree.files:
        if file.is_public and file.name != "chrono.hpp":
            for line, _, target in includes(file):
                if target in HEAVY_HEADERS and not file.allows(line, "heavy-includes"):
                    yield Finding(file.path, line, "heavy-includes", f"<{target}> is too heavy for a public header")


LAMBDA_TASK = re.compile(r"\[([^\[\]]*)\]\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?(?:mutable\s*|noexcept\s*)*->\s*(?:weir::)?task\s*<")


def rule_captures(tree):
    """A lambda that is a coroutine captures by reference or not at all: what it holds must not die before its task.

    Tests may, since they show what spawn() does with such a lambda: it keeps it.
    """
    for file in tree.cpp():
        if file.stem.endswith("_test"):
            continue
        for match in LAMBDA_TASK.finditer(file.code):
            captures = [item.strip() for item in match.group(1).split(",") if item.strip()]
            line = file.code.count("\n", 0, match.start()) + 1
            for capture in captures:
                if not capture.startswith("&") and capture != "this" and not file.allows(line, "captures"):
                    yield Finding(
                        file.path, line, "captures", f"a coroutine lambda captures '{capture}' by value: make it a parameter"
                    )


def rule_headers_once(tree):
    for file in tree.cpp():
        if file.is_header and not re.search(r"^#pragma once$", file.text, re.M):
            yield Finding(file.path, 1, "pragma-once", "a header needs #pragma once")


SNIPPET = re.compile(r"<!-- from ([\w./-]+)(?:#([\w-]+))? -->\n```\w*\n(.*?)```", re.S)


def snippet(tree, path, region):
    """What a document's marked block must say: a whole file, or the lines between `// [name]` and `// [/name]`."""
    if path not in tree.by_path:
        return None
    text = tree.by_path[path].text
    if region:
        match = re.search(rf"^[^\n]*(?://|#) \[{region}\]\n(.*?)^[^\n]*(?://|#) \[/{region}\]$", text, re.S | re.M)
        if not match:
            return None
        text = match.group(1)
    return text.rstrip("\n") + "\n"


def rule_docs(tree):
    for file in tree.files:
        if not file.path.endswith(".md"):
            continue
        for match in SNIPPET.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            wanted = snippet(tree, match.group(1), match.group(2))
            source = match.group(1) + (f"#{match.group(2)}" if match.group(2) else "")
            if wanted is None:
                yield Finding(file.path, line, "docs", f"{source} does not exist")
            elif wanted != match.group(3):
                yield Finding(file.path, line, "docs", f"the block differs from {source}: run ./dev docs")
        prose = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m.group(0)), file.text, flags=re.S)
        for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
            target = match.group(1)
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (tree.root / file.path).parent.joinpath(target).exists():
                line = prose.count("\n", 0, match.start()) + 1
                yield Finding(file.path, line, "docs", f"the link to {target} leads nowhere")


def refresh_docs(tree):
    """Copies the compiled text into every marked block; returns the files that changed."""
    changed = []
    for file in tree.files:
        if file.path.endswith(".md"):

            def fill(match):
                wanted = snippet(tree, match.group(1), match.group(2))
                if wanted is None:
                    return match.group(0)
                return match.group(0)[: match.start(3) - match.start()] + wanted + "```"

            text = SNIPPET.sub(fill, file.text)
            if text != file.text:
                (tree.root / file.path).write_text(text, encoding="utf-8")
                changed.append(file.path)
    return changed


TRACED_RULES = {"T": range(1, 26), "A": range(1, 12), "L": range(1, 8), "W": range(1, 14)}
TRACED_LAWS = """
    guaranteeIsGuaranteeCase uncancelablePollIsIdentity uncancelableIgnoredPollEliminatesNesting
    uncancelablePollInverseNestIsUncancelable uncancelableEliminatesOnCancel onCancelAssociatesOverUncancelableBoundary
    onCancelImpliesUncancelable forceRDiscardsPure forceRDiscardsError forceRCanceledShortCircuits forceRAssociativity
    uncancelableFinalizers canceledSequencesOnCancelInOrder uncancelableCanceledAssociatesRightOverFlatMapAttempt
    canceledAssociatesLeftOverFlatMap uncancelableIdentity canceledUnitIdentity
    raceDerivesFromRacePairLeft raceDerivesFromRacePairRight raceNeverNoncanceledIdentityLeft raceNeverNoncanceledIdentityRight
    fiberPureIsOutcomeCompletedPure fiberErrorIsOutcomeErrored fiberCancelationIsOutcomeCanceled fiberCanceledIsOutcomeCanceled
    fiberNeverIsNever fiberStartOfNeverIsUnit fiberJoinIsGuaranteeCase neverDominatesOverFlatMap uncancelableRaceNotInherited
    uncancelableCancelCancels uncancelableStartIsCancelable forceRNeverIsNever
    monotonicSleepSumIdentity sleepRaceMinimum startSleepMaximum
    asyncCheckAttemptImmediateIsPure asyncCheckAttemptSuspendedRightIsAsyncRight asyncCheckAttemptSuspendedLeftIsAsyncLeft
    asyncRightIsUncancelableSequencedPure asyncLeftIsUncancelableSequencedRaiseError asyncRepeatedCallbackIgnored
    asyncCancelTokenIsUnsequencedOnCompletion asyncCancelTokenIsUnsequencedOnError neverIsDerivedFromAsync
    executionContextCommutativity evalOnLocalPure evalOnPureIdentity evalOnRaiseErrorIdentity evalOnCanceledIdentity
    evalOnNeverIdentity syncStepIdentity
    suspendValueIsPure suspendThrowIsRaiseError unsequencedSuspendIsNoop repeatedSuspendNotMemoized
    monotonicity uniqueness
""".split()
TRACED = {  # page: what must have a row
    "docs/reference/rules.md": [f"{letter}{n}" for letter, numbers in TRACED_RULES.items() for n in numbers],
    "docs/reference/laws.md": TRACED_LAWS,
    "docs/reference/trio-themes.md": [],
}
TRACED_THEMES_MIN = 113  # rows of the last one


def names_of_tests(tree):
    """The sentence of each WEIR_TEST (or contract of flow), and suite.name of each other test."""
    names = set()
    for file in tree.cpp():
        if file.is_check:
            names.update(match.group(1) for match in re.finditer(r'^(?:WEIR_TEST(?:_ON_BOTH)?|FLOW_CONTRACT)\(\s*"([^"]*)"\s*\)', file.text, re.M))
            tests = re.finditer(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", file.text, re.M)
            names.update(f"{match.group(1)}.{match.group(2)}" for match in tests)
    return names


NAMED_AFTER = ("docs/reference/rules.md", "docs/reference/laws.md")


def ids_of_test(name):
    """The rules or the law at a test's end: `it waits (T1, L2)` and `noun.waits_T1_L2` have T1 and L2."""
    if match := re.search(r"\((\w+(?:, \w+)*)\)$", name):
        return match.group(1).split(", ")
    rules = re.search(r"(?:_[A-Z]\d+)+$", name)
    return rules.group(0)[1:].split("_") if rules else [name.rsplit("_", 1)[-1]]


def rule_traced(tree):
    """Rules, laws and themes have rows in their pages, whose last cells name tests that exist; tests of rule and law end in its name."""
    names = names_of_tests(tree)
    for page, wanted in TRACED.items():
        if page not in tree.by_path:
            continue
        rows = {}
        for number, line in enumerate(tree.by_path[page].lines, 1):
            match = re.match(r"\| (\w+) \|.*\|([^|]*)\|$", line)
            if not match or match.group(1) in ("rule", "law", "theme"):
                continue
            row = match.group(1)
            cited = rows[row] = re.findall(r"`([^`]+)`", match.group(2))
            if not cited:
                yield Finding(page, number, "traced", f"{row} names no test")
            for name in cited:
                if name not in names:
                    yield Finding(page, number, "traced", f"there is no test `{name}`")
            if cited and page in NAMED_AFTER and not any(row in ids_of_test(name) for name in cited):
                yield Finding(page, number, "traced", f"no test has the name of {row}")
        for row in wanted:
            if row not in rows:
                yield Finding(page, 1, "traced", f"{row} has no row")
        if page in NAMED_AFTER:
            for name in sorted(names):
                for row in set(ids_of_test(name)) & rows.keys():
                    if name not in rows[row]:
                        yield Finding(page, 1, "traced", f"the row of {row} leaves out `{name}`")
        if page.endswith("/trio-themes.md") and len(rows) < TRACED_THEMES_MIN:
            yield Finding(page, 1, "traced", f"{len(rows)} of {TRACED_THEMES_MIN} themes have rows")


WAITS = "docs/reference/waits.md"
CITING = (WAITS, "docs/reference/misuse.md", "docs/reference/faults.md", "docs/design/simulation.md")
WAITING_MODULES = ("core", "flow", "io", "pool", "bridge")
CALLED_MODULES = ("flow", "io", "http", "store", "broker")  # their waits are calls that give a task or a single wait
CALL = re.compile(
    r"(?<![\w:])(?<!friend )(?:task<[\w:<>,&* ]*>|(?:\w+::)*(?:\w+_wait(?:<[\w:<>,&* ]*>)?|awaiter))\s+(?!operator\b)(\w+)\("
    r"|\bauto\s+(\w+)\((?:[^{};]|\{\})*(?:->\s*task<|\{\s*return\s+(?:\w+::)*(?:\w+_wait|quick_call)\b)"
)
ACCESS = re.compile(r"^(class|struct) (?:\[\[\w+\]\] )?(\w+)[^;]*$|^ (public|protected|private):$|^(\};)")
UNDESCRIBED = {  # headers, or calls of one, that have no rows, and why
    "src/weir/io/byte_stream.hpp": "refers to sources and sinks of any type, which say what their waits leave",
    "src/weir/io/tls_channel.hpp": "the part of tls_socket that speaks TLS: nobody else has one",
    "src/weir/io/run_program.hpp": "gives main() and programs, which are run, not awaited",
    "src/weir/io/reader.hpp reader::cancel": "it is the source's own end",
    "src/weir/flow/circuit_breaker.hpp circuit_breaker::enter": "for run(): an await that never waits",
    "src/weir/flow/load_shed.hpp load_shed::enter": "for run(): an await that never waits",
}


def public_calls(file):
    """
    The functions of a header that give a task or a single wait, as (class or "", name, line). A class in a class is taken for
    a part of the outer one. What `namespace detail` has is nobody's, but for a class basic_x, which is x with another reach.
    """
    owner, access, depth, inner_at, places = "", "public", 0, None, []
    for line in file.code.split("\n"):
        if inner_at is None and line.startswith("namespace detail {"):
            inner_at = depth
        depth += line.count("{") - line.count("}")
        if inner_at is not None and depth <= inner_at:
            inner_at = None
        begun = ACCESS.match(line)
        if begun and begun.group(1):
            owner, access = begun.group(2), "private" if begun.group(1) == "class" else "public"
        elif begun and begun.group(3):
            access = begun.group(3)
        elif begun:
            owner, access = "", "public"
        is_public = access == "public" and (inner_at is None or owner.startswith("basic_"))
        places.append((owner.removeprefix("basic_"), is_public))
    for call in CALL.finditer(file.code):
        number = file.code.count("\n", 0, call.start()) + 1
        owner, is_public = places[number - 1]
        if is_public:
            yield owner, call.group(1) or call.group(2), number


def described_calls(text):
    """The calls in the first column of tables, by the header that the row, or the last one before it in its section, links to."""
    described, headers = {}, []
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("|") else ""
        if line.startswith("## "):
            headers = []
        headers = re.findall(r"\]\((?:\.\./)*([\w/]+\.hpp)\)", cell) or headers
        for header in headers:
            described.setdefault(header, set()).update(re.findall(r"`((?:\w+::)*\w+)\(\)`", cell))
    return described


def rule_cited(tree):
    """Rows of tables whose last column is of tests name tests that exist or link to what shows it; a header with a wait, or a call that gives a task, is in the table of waits."""
    names = names_of_tests(tree)
    for path in (path for path in CITING if path in tree.by_path):
        is_cited = False
        for number, line in enumerate(tree.by_path[path].lines, 1):
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if not cells:
                is_cited = False
            elif cells[-1] in ("test", "tests", "a test that shows it"):
                is_cited = True
            elif is_cited and set(cells[0]) != {"-"}:
                cited = re.findall(r"`([^`]+)`", cells[-1])
                if not cited and "](" not in cells[-1]:
                    yield Finding(path, number, "cited", "the row names no test")
                for name in cited:
                    if name not in names:
                        yield Finding(path, number, "cited", f"there is no test `{name}`")
    if WAITS not in tree.by_path:
        return
    for file in tree.cpp():
        has_wait = file.is_header and file.module in WAITING_MODULES and re.search(r"public (?:\w+::)*\w+_wait<", file.text)
        if has_wait and "/detail/" not in file.path and f"]({'../' * 2}{file.path})" not in tree.by_path[WAITS].text:
            yield Finding(file.path, 1, "cited", f"{WAITS} does not say what a cancellation leaves of its wait")
    described = described_calls(tree.by_path[WAITS].text)
    for file in tree.cpp():
        if not file.is_public or file.module not in CALLED_MODULES or file.path in UNDESCRIBED:
            continue
        for owner, name, number in public_calls(file):
            what = f"{owner}::{name}" if owner else name
            said = re.compile(rf"(?:cross::)?({owner}::(\w+::)*)?{name}")
            if f"{file.path} {what}" not in UNDESCRIBED and not any(said.fullmatch(call) for call in described.get(file.path, ())):
                yield Finding(file.path, number, "cited", f"{WAITS} does not say what a cancellation leaves of {what}()")


KERNEL_HEADERS = re.compile(
    r"^weir/(io/(make_driver|run_program|contract_test|\w+_driver)|testing/two_arms)\.hpp$"
)


def rule_needs_kernel(tree):
    """Tests run on the virtual clock; a file of tests that needs more says so, and gets the label `kernel` of ctest."""
    for file in tree.cpp():
        if not file.name.endswith("_test.cpp") or file.module in (None, "base"):
            continue
        needs = any(KERNEL_HEADERS.match(target) for _, _, target in includes(file))
        if needs != bool(re.search(r"^// Needs the kernel: \S", file.text, re.M)):
            what = "say `// Needs the kernel: why.`" if needs else "nothing here needs the kernel: drop the tag"
            yield Finding(file.path, 1, "needs-kernel", what)


LITERALS = r'((?:"[^"\n]*"\s*)+)'  # neighbours are one text
PLANTED = re.compile(rf"\bis_planted\(\s*{LITERALS}\)")
MUTANT = re.compile(rf"\{{\s*(?:\.\w+ = )?{LITERALS},")
LISTS_OF_MUTANTS = {"server_mutants.cpp", "mutant_programs.cpp"}
TABLE_OF_MUTANTS = "docs/design/simulation.md"


def rule_mutants(tree):
    """Each defect that can be planted stands at one place of the product, once in a list of mutants and in the table."""

    def places(file, pattern):
        for match in pattern.finditer(file.text):
            name = "".join(re.findall(r'"([^"\n]*)"', match.group(1)))
            if re.match(r"[a-z]\w*: \S", name):
                yield name, file.path, file.text.count("\n", 0, match.start()) + 1

    product, listed = {}, {}
    for file in tree.cpp():
        if not file.path.startswith("src/weir/") or file.is_check or file.name == "defect.hpp":
            continue
        is_list = file.module == "drill" and file.name in LISTS_OF_MUTANTS
        for name, path, line in places(file, MUTANT if is_list else PLANTED):
            at = listed if is_list else product
            if name in at:
                yield Finding(path, line, "mutants", f"'{name}' stands at {at[name][0]}:{at[name][1]} as well")
            at.setdefault(name, (path, line))
    for name, (path, line) in sorted(product.items()):
        if name not in listed:
            yield Finding(path, line, "mutants", f"'{name}' is in no list of mutants")
    for name, (path, line) in sorted(listed.items()):
        if name not in product:
            yield Finding(path, line, "mutants", f"nothing asks for '{name}'")
    if not (tree.root / TABLE_OF_MUTANTS).exists():
        return
    shown = {}
    for line, text in enumerate(tree.read(TABLE_OF_MUTANTS).split("\n"), 1):
        if row := re.match(r"\| ([a-z]\w*: [^|]+?) \|", text):
            shown.setdefault(row.group(1), line)
    for name in sorted(set(listed) - set(shown)):
        yield Finding(*listed[name], "mutants", f"{TABLE_OF_MUTANTS} has no row of '{name}'")
    for name in sorted(set(shown) - set(listed)):
        yield Finding(TABLE_OF_MUTANTS, shown[name], "mutants", f"no mutant is called '{name}'")


PROBE = re.compile(r'\bsometimes\([^;"]*"([^"\n]+)"\)')
LIST_OF_PROBES = "src/weir/drill/campaign.cpp"


def rule_probes(tree):
    """What should happen sometimes is in the list of what a campaign expects, and the other way round."""
    found = re.search(r"\bexpected_probes\[\] = \{(.*?)\};", tree.read(LIST_OF_PROBES), re.S)
    if not found:
        return
    listed, product = set(re.findall(r'"([^"\n]+)"', found.group(1))), set()
    for file in tree.cpp():
        if not file.path.startswith("src/weir/") or file.is_check or file.module in ("base", "testing"):
            continue
        for match in PROBE.finditer(file.text):
            name, line = match.group(1), file.text.count("\n", 0, match.start()) + 1
            product.add(name)
            if name not in listed and not file.allows(line, "probes"):
                yield Finding(file.path, line, "probes", f"no campaign expects '{name}'")
    for name in sorted(listed - product):
        yield Finding(LIST_OF_PROBES, 1, "probes", f"nothing says '{name}'")


SHOWN_MODULES = ("core", "flow", "io", "pool")
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
NO_FUNCTIONS = {"requires", "noexcept", "decltype", "alignas", "explicit", "sizeof"}


def without_directives(file):
    return PREPROCESSOR.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), file.code)


def declarations(file):
    """(line, namespace, head) of what stands at public namespace scope: the text up to its `{` or `;`."""
    code = without_directives(file)
    scopes, start = [], 0  # of each open brace, the name of its public namespace, or nothing
    for match in re.finditer(r"[{};]", code):
        head = code[start : match.start()]
        is_here = bool(scopes) and all(scopes)
        namespace = re.search(r"\bnamespace\s+([\w:]+)\s*$", head)
        if is_here and not namespace and match.group(0) != "}":
            line = code.count("\n", 0, start + len(head) - len(head.lstrip())) + 1
            yield line, "::".join(scopes), head.strip() + match.group(0)
        if match.group(0) == "{":
            is_public = namespace and not re.search("detail|internal", namespace.group(1))
            scopes.append(namespace.group(1) if is_public else "")
        elif match.group(0) == "}" and scopes:
            scopes.pop()
        start = match.end()


def public_nouns(file):
    """(line, namespace, name) of each class, each x that is a class basic_x, and each free function that a public header offers."""
    classes = set()
    for line, namespace, head in declarations(file):
        if match := re.match(r"(?:template\s*<.*?>\s*(?:requires.*?\s)?)?class\s+(?:\[\[.*?\]\]\s*)*(\w+)(?:\s+final)?\s*(?::.*)?\{$", head, re.S):
            classes.add(match.group(1))
            yield line, namespace, match.group(1)
        elif match := re.match(r"(?:template\s*<.*?>\s*)?using\s+(\w+)\s*=\s*(basic_\1)<", head, re.S):
            if match.group(2) in classes:
                yield line, namespace, match.group(1)
        elif not re.match(r"(?:using|enum|friend|extern|static_assert|template\s*<>)", head) and "operator" not in head:
            head = re.sub(r"\[\[.*?\]\]", "", head)
            while (shorter := re.sub(r"<[^<>]*>", "", head)) != head:
                head = shorter
            called = [name for name in re.findall(r"(?<!::)\b(\w+)\s*\(", head.split("=")[0]) if name not in NO_FUNCTIONS]
            if called and not re.search(r"\b(?:class|struct)\b", head):
                yield line, namespace, called[0]


def rule_shown(tree):
    """Each class and free function of core, flow, io and pool (basic_x is x) stands in an example that the tests run; what is in a
    namespace inside of weir stands there with that namespace's name, `cross::latch`, and does not show weir's own, `latch`."""
    nouns = [
        (file, line, namespace.split("::")[1:], name)
        for file in tree.cpp()
        if file.is_public and file.module in SHOWN_MODULES
        for line, namespace, name in public_nouns(file)
    ]
    inner = {of[-1] for _, _, of, _ in nouns if of}
    shown = set()
    for file in tree.cpp():
        runs = file.is_check or (tree.root / file.path).with_suffix(".out").exists()
        if file.path.startswith("examples/") and runs:
            words = re.findall(r"\w+|::", without_directives(file))
            for before, colons, name in zip(["", ""] + words, [""] + words, words):
                shown.add((before if colons == "::" and before in inner else "", name))
    for file, line, of, name in nouns:
        name = name.removeprefix("basic_")
        if ((of or [""])[-1], name) not in shown and not file.allows(line, "shown"):
            yield Finding(file.path, line, "shown", f"no example that runs shows {'::'.join([*of, name])}")


RULES = (
    rule_floors,
    rule_include_order,
    rule_length,
    rule_columns,
    rule_cards,
    rule_words,
    rule_heavy_includes,
    rule_captures,
    rule_headers_once,
    rule_docs,
    rule_traced,
    rule_cited,
    rule_needs_kernel,
    rule_mutants,
    rule_probes,
    rule_shown,
)
