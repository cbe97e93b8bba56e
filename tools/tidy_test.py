#!/usr/bin/env python3
"""Shows each rule of tidy failing on a small tree, and passing on the mended one."""

import contextlib
import io
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import tidy_clang
import tidy_includes
import tidy_names
import tidy_rules

FLOORS = "0 base\n1 core\n2 io\n3 wire\n3 http wire\n+ sim\n"
CARD = """/// A thing that does work.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   one.
/// Errors:  none.
/// Threads: one loop.
"""


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="tidy"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("floors.txt", FLOORS)

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def found(self, rule, *more):
        """The findings as `path:line message`."""
        result = rule(tidy_rules.Tree(self.root), *more)
        return [f"{item.path}:{item.line} {item.message}" for item in result]

    def clang(self, rule):
        with contextlib.redirect_stdout(io.StringIO()):
            return self.found(rule, tidy_clang.Cache(self.root / "build" / "cache"), 2)

    def assert_one(self, findings, part):
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])


class Floors(TidyTest):
    def check(self, path, include, part):
        for other in ("base/a.hpp", "io/b.hpp", "sim/c.hpp", "wire/d.hpp", "io/internal/e.hpp", "http/f.hpp"):
            self.write(f"src/weir/{other}", "#pragma once\n")
        self.write(path, f"#include {include}\n")
        findings = [item for item in self.found(tidy_rules.rule_floors) if item.startswith(path)]
        if part:
            self.assert_one(findings, part)
        else:
            self.assertEqual(findings, [])

    def test_an_include_of_a_higher_floor_is_found(self):
        self.check("src/weir/core/x.cpp", "<weir/io/b.hpp>", "'core' (floor 1) must not include 'io' (floor 2)")

    def test_an_include_of_a_lower_floor_passes(self):
        self.check("src/weir/core/x.cpp", "<weir/base/a.hpp>", None)

    def test_a_neighbour_on_the_same_floor_passes_only_when_listed(self):
        self.check("src/weir/http/x.cpp", "<weir/wire/d.hpp>", None)
        self.check("src/weir/wire/x.cpp", "<weir/http/f.hpp>", "must not include 'http'")

    def test_the_simulator_is_for_tests_only(self):
        self.check("src/weir/io/x.cpp", "<weir/sim/c.hpp>", "only tests may include 'sim'")
        self.check("src/weir/io/x_test.cpp", "<weir/sim/c.hpp>", None)

    def test_a_test_obeys_the_floors_too(self):
        self.check("src/weir/core/x_test.cpp", "<weir/io/b.hpp>", "must not include 'io'")

    def test_internal_headers_stay_in_their_module(self):
        self.check("src/weir/http/x.cpp", "<weir/io/internal/e.hpp>", "is internal to 'io'")

    def test_a_quoted_include_is_found(self):
        self.check("src/weir/io/x.cpp", '"b.hpp"', "write the include as <weir/...>")

    def test_an_unknown_module_is_found(self):
        self.check("src/weir/attic/x.cpp", "<weir/base/a.hpp>", "module 'attic' is not in floors.txt")

    def test_an_include_in_a_comment_is_none(self):
        self.check("src/weir/core/x.cpp", "<weir/base/a.hpp>\n/*\n#include <weir/io/b.hpp>\n*/", None)


class IncludeOrder(TidyTest):
    def setUp(self):
        super().setUp()
        self.write("src/weir/base/a.hpp", "#pragma once\n")
        self.write("src/weir/base/b.hpp", "#pragma once\n")

    def test_the_own_header_comes_first(self):
        for path in ("src/weir/base/a.cpp", "src/weir/base/a_test.cpp"):
            self.write(path, "#include <weir/base/b.hpp>\n#include <weir/base/a.hpp>\n")
        self.assertEqual(len(self.found(tidy_rules.rule_include_order)), 2)
        self.write("src/weir/base/a.cpp", "#include <weir/base/a.hpp>\n\n#include <weir/base/b.hpp>\n")
        self.assert_one(self.found(tidy_rules.rule_include_order), "its own header <weir/base/a.hpp>")

    def test_std_comes_last(self):
        self.write("src/weir/base/a.cpp", "#include <weir/base/a.hpp>\n#include <string>\n#include <fmt/format.h>\n")
        self.assert_one(self.found(tidy_rules.rule_include_order), "<fmt/format.h> comes too late")
        self.write("src/weir/base/a.cpp", "#include <weir/base/a.hpp>\n#include <fmt/format.h>\n#include <string>\n")
        self.assertEqual(self.found(tidy_rules.rule_include_order), [])

    def test_the_bodies_of_templates_come_last(self):
        self.write("src/weir/base/c.hpp", "#include <string>\n#include <weir/base/detail/c_impl.hpp>\n")
        self.assertEqual(self.found(tidy_rules.rule_include_order), [])
        self.write("src/weir/base/c.hpp", "#include <string>\n#include <weir/base/detail/d_impl.hpp>\n")
        self.assert_one(self.found(tidy_rules.rule_include_order), "d_impl.hpp> comes too late")

    def test_a_conditional_include_may_stand_anywhere(self):
        self.write("src/weir/base/a.cpp", "#include <string>\n#if defined(X)\n#include <nmmintrin.h>\n#endif\n")
        self.write("src/weir/base/a.hpp", "#pragma once\n#include <string>\n#ifdef X\n#include <x.h>\n#endif\n")
        self.assert_one(self.found(tidy_rules.rule_include_order), "its own header <weir/base/a.hpp>")


class Length(TidyTest):
    def test_a_header_over_300_lines_is_found(self):
        self.write("src/weir/base/a.hpp", "\n" * 300)
        self.assertEqual(self.found(tidy_rules.rule_length), [])
        self.write("src/weir/base/a.hpp", "\n" * 301)
        self.assert_one(self.found(tidy_rules.rule_length), "has 301 lines, 300 are allowed")

    def test_a_source_over_600_lines_is_found(self):
        self.write("src/weir/base/a.cpp", "\n" * 601)
        self.assert_one(self.found(tidy_rules.rule_length), "has 601 lines, 600 are allowed")

    def test_a_function_over_70_lines_is_found_wherever_it_stands(self):
        body = "\n" * 70
        for text in (
            f"int f(int a) {{{body}}}",
            f"namespace n {{\nclass c {{\n public:\n  int f() const noexcept {{{body}}}\n}};\n}}",
            f"c::c(int a) : a_{{a}}, b_(1) {{{body}}}",
            f"template <class T>\n  requires requires(T t) {{ t.x(); }}\nauto f(T t) -> std::expected<T, int> {{{body}}}",
            f"TEST(noun, does) {{{body}}}",
            f"bool operator==(a x, b y) {{ for (;;) {{ [] {{ {body} }}(); }} }}",
        ):
            self.write("src/weir/base/a.cpp", text + "\n")
            self.assert_one(self.found(tidy_rules.rule_length), "lines, 70 are allowed")

    def test_namespaces_classes_and_tables_have_no_limit_of_functions(self):
        body = "int x;\n" * 80
        rows = '{1, f(2), "}"},\n' * 80
        self.write("src/weir/base/a.cpp", f"namespace n {{\n{body}}}\nstruct s {{\n{body}}};\nrow rows[] = {{\n{rows}}};\n")
        self.assertEqual(self.found(tidy_rules.rule_length), [])

    def test_a_listed_file_may_shrink_but_not_grow(self):
        self.write("tools/ratchet.txt", "lines src/weir/base/a.hpp - 310\n")
        self.write("src/weir/base/a.hpp", "\n" * 310)
        self.assertEqual(self.found(tidy_rules.rule_length), [])
        self.write("src/weir/base/a.hpp", "\n" * 311)
        self.assert_one(self.found(tidy_rules.rule_length), "has 311 lines, 310 are allowed")

    def test_a_ratchet_must_follow_what_shrank(self):
        self.write("tools/ratchet.txt", "# kept\nlines src/weir/base/a.hpp - 310\nfunction src/weir/base/a.hpp f 90\n")
        self.write("src/weir/base/a.hpp", "\n" * 305)
        self.assertEqual(len(self.found(tidy_rules.rule_length)), 2)
        tidy_rules.lower_ratchet(tidy_rules.Tree(self.root))
        self.assertEqual(self.found(tidy_rules.rule_length), [])
        self.assertEqual((self.root / "tools/ratchet.txt").read_text(), "# kept\nlines src/weir/base/a.hpp - 305\n")

    def test_a_line_over_100_columns_is_found(self):
        self.write("src/weir/base/a.cpp", "// " + "x" * 97 + "\n")
        self.assertEqual(self.found(tidy_rules.rule_columns), [])
        self.write("src/weir/base/a.cpp", "// " + "x" * 98 + "\n")
        self.assert_one(self.found(tidy_rules.rule_columns), "101 columns")


class Names(TidyTest):
    def test_a_file_name_used_twice_is_found(self):
        self.write("src/weir/base/a.hpp", "")
        self.write("src/weir/core/a.hpp", "")
        self.assert_one(self.found(tidy_names.rule_unique_names), "is taken by src/weir/base/a.hpp")

    def test_a_test_whose_names_are_not_its_own_is_found(self):
        for text in (
            "namespace weir {\nnamespace {\n}\n}\n",
            "namespace weir::b_test {\n}\n",
            "TEST(a, b) {}\n",
            "namespace weir::a_test {\n}\nnamespace weir {\n}\n",
        ):
            self.write("src/weir/base/a_test.cpp", text)
            self.assert_one(self.found(tidy_names.rule_own_namespace), "namespace weir::a_test")
        for text in ("namespace weir::a_test {\n}\n", "namespace weir::http::a_test {\nnamespace {\n}\n}\n"):
            self.write("src/weir/base/a_test.cpp", text)
            self.assertEqual(self.found(tidy_names.rule_own_namespace), [])

    def one_meaning(self, header, other, path="src/weir/core/b.cpp"):
        self.write("src/weir/base/a.hpp", f"#pragma once\n{header}\n")
        self.write(path, other + "\n")
        return self.found(tidy_names.rule_one_meaning)

    def test_a_name_of_two_namespaces_of_which_one_is_inside_the_other_is_found(self):
        thing = "namespace weir {\n\nclass thing {\n};\n}"
        for other in (
            "namespace weir::detail {\nclass thing final : public base {\n};\n}",
            "namespace weir::detail {\ntemplate <class T, class U = pair<T, int>>\nstruct thing {\n};\n}",
            "namespace weir {\nnamespace detail {\nenum class thing : int { a };\n}\n}",
            "namespace weir::detail {\nnamespace {\nusing thing = int;\n}\n}",
            "namespace weir {\nnamespace {\ninline constexpr std::size_t thing = 4;\n}\n}",
            "namespace weir::detail {\nconstexpr char thing[] = {1, 2};\n}",
            "namespace weir::detail {\nalignas(64) constinit thread_local state thing{.a = f(2)};\n}",
            "namespace weir::detail {\ntemplate <class T>\nconcept thing = requires(T a) { a.b(); };\n}",
            "namespace weir::detail {\ntemplate <class T>\n  requires(sizeof(T) > 1)\nclass WEIR_TASK_ATTRIBUTES [[nodiscard]] thing {\n};\n}",
            "namespace weir::detail {\nvoid f() { if (g) { h(); } }\n#define A \\\n  {\nthread_local int thing;\n}",
        ):
            self.assert_one(self.one_meaning(thing, other), "thing is also a name in src/weir/base/a.hpp:4; which is meant")

    def test_names_that_no_source_can_mix_up_pass(self):
        thing = "namespace weir {\nnamespace detail {\nclass thing {\n};\n}\n}"
        for other in (
            "namespace weir::http {\nclass thing {\n};\n}",
            "namespace weir::detail {\nclass thing;\nstatic const int thing::kind{3};\nclass thing::part {\n};\n}",
            "namespace weir::detail {\nclass other {\n  class thing {\n  };\n};\nvoid f() {\n  struct thing {};\n}\n}",
            "namespace weir::detail {\nint thing(int a);\nint other = thing(3);\n}",
            "namespace weir {\n// tidy-allow(one-meaning): for a test\nclass thing {\n};\n}",
        ):
            self.assertEqual(self.one_meaning(thing, other), [], other)
        self.assertEqual(self.one_meaning("namespace weir {\nclass thing {};\n}\nnamespace weir::detail {\nclass thing {};\n}", ""), [])
        test = "namespace weir {\nnamespace b_test {\nclass thing {};\n}\n}"
        self.assertEqual(self.one_meaning("namespace weir {\nclass thing {};\n}", test, "src/weir/core/b_test.cpp"), [])


class Cards(TidyTest):
    def check(self, text, part, path="src/weir/base/a.hpp"):
        self.write(path, f"namespace weir {{\n{text}\n}}\n")
        findings = self.found(tidy_rules.rule_cards)
        if part:
            self.assert_one(findings, part)
        else:
            self.assertEqual(findings, [])

    def test_a_class_without_a_comment_is_found(self):
        self.check("class a {};", "class a has no contract card")

    def test_a_class_with_a_card_passes(self):
        self.check(CARD + "class [[nodiscard]] a final : public b {\n};", None)
        self.check(CARD + "template <class T>\nclass a {\n};", None)

    def test_a_missing_line_is_found(self):
        self.check(CARD.replace("/// Bound:   one.\n", "") + "class a {};", "it has: Cancel, Order, Errors, Threads")

    def test_the_order_of_the_lines_counts(self):
        text = CARD.replace("Cancel:", "Was:").replace("Order:", "Cancel:").replace("Was:", "Order:")
        self.check(text + "class a {};", "it has: Order, Cancel, Bound")

    def test_an_empty_line_of_a_card_is_found(self):
        self.check(CARD.replace("Bound:   one.", "Bound:") + "class a {};", "an empty line 'Bound:'")

    def test_attributes_and_templates_do_not_hide_a_class(self):
        self.check("template <class T = int>\nclass [[nodiscard]] a : public b<T> {\n};", "class a has no contract card")

    def test_a_long_line_of_a_card_is_broken_and_kept_by_the_formatter(self):
        long = CARD.replace("Bound:   one.", "Bound:   " + "words " * 40 + "end.")
        self.write(".clang-format", (Path(__file__).parent.parent / ".clang-format").read_text())
        self.write("src/weir/base/a.hpp", f"{long}class a {{}};\n")
        tidy_rules.wrap_cards(tidy_rules.Tree(self.root))
        once = (self.root / "src/weir/base/a.hpp").read_text()
        self.assertEqual(self.found(tidy_rules.rule_columns), [])
        self.assertIn("\n///          words words", once)
        tidy_clang.format_all(tidy_rules.Tree(self.root))
        self.assertEqual((self.root / "src/weir/base/a.hpp").read_text(), once)

    def test_structs_detail_internal_and_tests_are_exempt(self):
        self.check("struct a {};\nclass forward;\nenum class b { c };", None)
        self.check("namespace detail {\nclass a {};\n}", None)
        self.check("class a {};", None, "src/weir/base/internal/b.hpp")
        self.check("class a {};", None, "src/weir/apps/c.hpp")

    def test_a_class_inside_a_class_is_exempt(self):
        self.check(CARD + "class a {\n  class b {};\n};", None)

    def test_a_class_may_say_why_it_has_no_card(self):
        self.check("// tidy-allow(card): the macros of the interface need a class\nclass a {};", None)


class Words(TidyTest):
    def check(self, text, part, path="src/weir/base/a.cpp"):
        self.write(path, text + "\n")
        findings = self.found(tidy_rules.rule_words)
        if part:
            self.assert_one(findings, part)
        else:
            self.assertEqual(findings, [])

    def test_marks_of_unfinished_work_are_found(self):
        self.check("// FIXME: later", "FIXME and XXX")
        self.check("int a;  // XXX", "FIXME and XXX")
        self.check("// TODO: later", "a TODO has a kind")
        self.check("// TODO(perf): batch these", None)

    def test_commented_out_code_is_found(self):
        for text in ("// return 1;", "// if (a) {", "// queue.push(item);", "// a->b = c;", "// #include <x>", "// }"):
            self.check(text, "commented-out code")

    def test_prose_is_not_taken_for_code(self):
        for text in (
            "// Returns early; the rest follows.",
            "// if the queue is full, the producer waits;",
            "// The loop (see run()) ends here.",
            "/// return fail(errc::closed);",
            "// return to the loop;",
            "// a + b",
        ):
            self.check(text, None)

    def test_sleeps_are_found_in_tests_only(self):
        text = "void f() { std::this_thread::sleep_for(x); }"
        self.check(text, None)
        self.check(text, "tests do not sleep", "src/weir/base/a_test.cpp")

    def test_places_of_one_machine_are_found(self):
        self.check("// see /home/ada/notes", "means nothing to a reader")
        self.check("see issue 12", "means nothing to a reader")

    def test_a_line_may_say_why_it_breaks_the_rule(self):
        self.check("// FIXME is what users type; tidy-allow(words): it is parsed here", None)


class HeavyIncludes(TidyTest):
    def test_chrono_is_found_in_a_public_header_only(self):
        self.write("src/weir/core/a.hpp", "#include <chrono>\n")
        self.write("src/weir/core/internal/b.hpp", "#include <chrono>\n")
        self.write("src/weir/core/a.cpp", "#include <chrono>\n")
        self.write("src/weir/base/chrono.hpp", "#include <chrono>\n")
        self.assert_one(self.found(tidy_rules.rule_heavy_includes), "src/weir/core/a.hpp:1 <chrono> is too heavy")

    def test_a_header_without_pragma_once_is_found(self):
        self.write("src/weir/core/a.hpp", "int a;\n")
        self.assert_one(self.found(tidy_rules.rule_headers_once), "needs #pragma once")


class Captures(TidyTest):
    def check(self, text, part):
        self.write("src/weir/base/a.cpp", f"auto f = {text}\n")
        findings = self.found(tidy_rules.rule_captures)
        self.assert_one(findings, part) if part else self.assertEqual(findings, [])

    def test_a_coroutine_lambda_that_captures_by_value_is_found(self):
        self.check("[x](int a) -> task<int> { co_return a + x; };", "captures 'x' by value")
        self.check("[=]() mutable -> weir::task<> { co_return; };", "captures '=' by value")
        self.check("[&, y = g(1)](f<int(int)> a)\n    -> task<> {};", "captures 'y = g(1)' by value")
        self.check("[z] -> task<> { co_return; };", "captures 'z' by value")

    def test_tests_may_capture_by_value(self):
        self.write("src/weir/base/a_test.cpp", "auto f = [x]() -> task<> { co_return; };\n")
        self.assertEqual(self.found(tidy_rules.rule_captures), [])

    def test_references_and_other_lambdas_pass(self):
        self.check("[&](weir::scope& s) -> weir::task<> { co_return; };", None)
        self.check("[&x, this](int) -> task<> { co_return; };", None)
        self.check("[](int a) -> task<int> { co_return a; };", None)
        self.check("[x](int a) -> int { return a + x; };", None)
        self.check("a[i](); auto g = h() -> task<int>;", None)


class Docs(TidyTest):
    def test_a_block_that_differs_from_its_file_is_found_and_refreshed(self):
        self.write("examples/echo.cpp", "int main() {}\n")
        self.write("README.md", "# x\n<!-- from examples/echo.cpp -->\n```cpp\nint main() { old }\n```\nend\n")
        self.assert_one(self.found(tidy_rules.rule_docs), "README.md:2 the block differs from examples/echo.cpp")
        tidy_rules.refresh_docs(tidy_rules.Tree(self.root))
        self.assertEqual(self.found(tidy_rules.rule_docs), [])
        self.assertIn("```cpp\nint main() {}\n```\nend\n", (self.root / "README.md").read_text())

    def test_a_block_may_be_a_named_part_of_a_file(self):
        self.write("examples/echo.cpp", "int a;\n// [part]\nint b;\n// [/part]\n")
        self.write("README.md", "<!-- from examples/echo.cpp#part -->\n```cpp\nint b;\n```\n")
        self.assertEqual(self.found(tidy_rules.rule_docs), [])
        self.write("README.md", "<!-- from examples/echo.cpp#gone -->\n```cpp\nint b;\n```\n")
        self.assert_one(self.found(tidy_rules.rule_docs), "examples/echo.cpp#gone does not exist")

    def test_a_dead_link_is_found(self):
        self.write("docs/a.md", "[b](b.md) [web](https://example.org/x) [here](#part)\n")
        self.assert_one(self.found(tidy_rules.rule_docs), "the link to b.md leads nowhere")


class Traced(TidyTest):
    RULES = [f"{letter}{number}" for letter, numbers in tidy_rules.TRACED_RULES.items() for number in numbers]

    def setUp(self):
        super().setUp()
        self.rows = {rule: f"`noun.does_{rule}`" for rule in self.RULES}
        tests = "".join(f"TEST_P(noun, does_{rule}) {{}}\n" for rule in self.RULES)
        self.write("src/weir/base/noun_test.cpp", tests + 'TEST(noun, does) {}\nWEIR_TEST(\n    "a sentence, with a comma (T2, K4)") {}\n')
        self.rows["T2"] += ", `a sentence, with a comma (T2, K4)`"

    def check(self):
        rows = [f"| {rule} | text | {tests} |" for rule, tests in self.rows.items()]
        self.write("docs/reference/rules.md", "\n".join(rows) + "\n")
        return self.found(tidy_rules.rule_traced)

    def test_each_rule_with_a_test_that_exists_passes(self):
        self.rows["T3"] += ", `noun.does`"
        self.assertEqual(self.check(), [])

    def test_a_test_that_does_not_exist_is_found(self):
        self.rows["T5"] += ", `noun.did`"
        self.assert_one(self.check(), "docs/reference/rules.md:5 there is no test `noun.did`")

    def test_a_rule_without_a_test_or_a_row_is_found(self):
        self.rows["T1"] = "`noun.does_T1` |"
        self.assertIn("docs/reference/rules.md:1 T1 names no test", self.check())
        del self.rows["T1"]
        self.assert_one(self.check(), "T1 has no row")
        self.setUp()
        del self.rows["A11"]
        self.assert_one(self.check(), "A11 has no row")

    def test_a_rule_without_a_test_that_is_named_after_it_is_found(self):
        self.rows["K9"] = "`noun.does`, `noun.does_T1`, `a sentence, with a comma (T2, K4)`"
        self.assert_one(self.check(), "no test has the name of K9")
        self.write("src/weir/base/verb_test.cpp", "TEST(verb, does_L1_K9) {}\n")
        self.rows["K9"] = self.rows["L1"] = "`verb.does_L1_K9`"
        self.rows["L1"] += ", `noun.does_L1`"
        self.assertEqual(self.check(), [])

    def test_a_test_that_is_named_after_a_rule_which_does_not_name_it_is_found(self):
        self.rows["K4"] = "`a sentence, with a comma (T2, K4)`"
        self.assertEqual(self.check(), [])
        self.rows["T2"] = "`noun.does_T2`"
        self.assert_one(self.check(), "the row of T2 leaves out `a sentence, with a comma (T2, K4)`")

    def test_a_row_of_another_letter_names_tests_that_exist_too(self):
        self.rows["K4"] = "`a sentence, with a comma (T2, K4)`, `noun.did`"
        self.assert_one(self.check(), "there is no test `noun.did`")

    def check_laws(self, rows, tests):
        self.write("src/weir/base/law_test.cpp", tests)
        self.write("docs/reference/laws.md", "| law | in weir | tests |\n|---|---|---|\n" + "\n".join(rows) + "\n")
        return self.found(tidy_rules.rule_traced)

    def test_each_law_has_a_row_and_a_test_of_its_name(self):
        laws = tidy_rules.TRACED_LAWS
        self.assertEqual(len(set(laws)), 58)
        tests = "".join(f'WEIR_TEST("it holds ({law})") {{}}\n' for law in laws[1:])
        tests += f"TEST(laws, it_holds_{laws[0]}) {{}}\n"
        rows = [f"| {laws[0]} | text | `laws.it_holds_{laws[0]}` |"]
        rows += [f"| {law} | text | `it holds ({law})` |" for law in laws[1:]]
        self.assertEqual(self.check_laws(rows, tests), [])
        rows[3] = f"| {laws[3]} | text | `it holds ({laws[4]})` |"
        self.assertIn(f"docs/reference/laws.md:6 no test has the name of {laws[3]}", self.check_laws(rows, tests))
        del rows[3]
        self.assert_one(self.check_laws(rows, tests), f"{laws[3]} has no row")

    def test_each_theme_names_a_test_and_none_gets_lost(self):
        rows = [f"| theme_{number} | text | `noun.does` |" for number in range(tidy_rules.TRACED_THEMES_MIN)]
        self.write("docs/reference/trio-themes.md", "\n".join(rows) + "\n")
        self.assertEqual(self.found(tidy_rules.rule_traced), [])
        self.write("docs/reference/trio-themes.md", "\n".join(rows[1:]) + "\n")
        self.assert_one(self.found(tidy_rules.rule_traced), "112 of 113 themes have rows")


class Cited(TidyTest):
    def setUp(self):
        super().setUp()
        self.write("src/weir/io/noun_test.cpp", "TEST_P(noun, does) {}\n")
        self.write("src/weir/io/noun.hpp", "class receive_wait final : public detail::io_wait<receive_wait, int> {};\n")
        self.write("src/weir/io/other.hpp", "int no_wait;\n")

    def check(self, row):
        self.write("docs/reference/waits.md", "Text.\n\n| wait | after | tests |\n|---|---|---|\n" + row + "\n\n| other | table |\n|---|---|\n| a | b |\n")
        return self.found(tidy_rules.rule_cited)

    def test_a_row_with_tests_that_exist_passes(self):
        self.assertEqual(self.check("| `x` ([n](../../src/weir/io/noun.hpp)) | nothing | `noun.does` |"), [])

    def test_a_row_without_a_test_or_with_one_that_does_not_exist_is_found(self):
        self.assert_one(self.check("| `x` ([n](../../src/weir/io/noun.hpp)) | nothing | |"), "the row names no test")
        self.assert_one(self.check("| `x` ([n](../../src/weir/io/noun.hpp)) | nothing | `noun.did` |"), "there is no test `noun.did`")

    def test_the_faults_of_the_virtual_world_are_looked_at_and_its_other_tables_are_not(self):
        head = "| what happens | the call | a test that shows it |\n|---|---|---|\n"
        other = "\n| as on a kernel | |\n|---|---|\n| a | b |\n"
        for cited, said in (("`noun.does`", []), ("`noun.did`", ["there is no test `noun.did`"]), ("", ["the row names no test"])):
            self.write("docs/design/simulation.md", head + f"| a cut | `cut()` | {cited} |\n" + other)
            found = self.found(tidy_rules.rule_cited)
            self.assertEqual(len(found), len(said))
            for one, text in zip(found, said):
                self.assertIn(text, str(one))

    def test_a_link_to_what_shows_it_is_enough(self):
        self.assertEqual(self.check("| `x` ([n](../../src/weir/io/noun.hpp)) | nothing | [n](../../src/weir/io/noun_test.cpp) |"), [])

    def test_a_header_with_a_wait_that_has_no_row_is_found(self):
        self.assert_one(self.check("| `x` | nothing | `noun.does` |"), "src/weir/io/noun.hpp:1 docs/reference/waits.md does not say")

    NOUN = "| `x` ([n](../../src/weir/io/noun.hpp)) | nothing | `noun.does` |"
    ASKER = """class asker {
 public:
  asker();
  task<> ask(int what);
  task<std::map<int, bytes>>
  wait_long();
  task<> operator()(int);
  using function = task<> (*)(int);

 private:
  task<> hide();
};
class asker;
task<bool> ask_all(std::string_view text);
"""

    def check_calls(self, rows):
        self.write("src/weir/http/asker.hpp", self.ASKER)
        return self.check("\n".join([self.NOUN, *rows]))

    def test_a_public_call_that_gives_a_task_and_has_no_row_is_found(self):
        asker = "([a](../../src/weir/http/asker.hpp)) | nothing | `noun.does` |"
        ask, wait, all_of = f"| `asker::ask()` {asker}", "| `wait_long()` | nothing | `noun.does` |", "| `ask_all()` | nothing | `noun.does` |"
        self.assertEqual(self.check_calls([ask, wait, all_of]), [])
        self.assert_one(self.check_calls([ask, wait]), "src/weir/http/asker.hpp:14 docs/reference/waits.md does not say what a cancellation leaves of ask_all()")
        self.assert_one(self.check_calls([ask, all_of]), "src/weir/http/asker.hpp:5 docs/reference/waits.md does not say what a cancellation leaves of asker::wait_long()")
        other = f"| `other::ask()` {asker}"
        self.assert_one(self.check_calls([other, wait, all_of]), "of asker::ask()")
        self.assertEqual(len(self.check_calls([])), 3)

    TAKER = """namespace weir {
namespace detail {
task<> inner();
template <class Reach>
class basic_line {
 public:
  class awaiter final : public closable_wait<awaiter, void> {
   public:
    explicit awaiter(basic_line& of) noexcept;
  };
  awaiter stand(int at = 0) noexcept { return awaiter(*this); }
};
class helper {
 public:
  task<> nobody();
};
}  // namespace detail
class [[nodiscard]] taker : public detail::owner {
 public:
  auto take(options how = {}) noexcept {
    return detail::take_wait(how);
  }
  [[nodiscard]] detail::put_wait<std::span<int>> put(int what) noexcept;
  auto read() noexcept { return detail::quick_call(detail::some_read{this}); }
  auto count() const noexcept { return count_; }

 private:
  friend task<> call_all(taker& of);
  detail::put_wait<int> hide() noexcept;
};
template <class F>
auto ask_all(F f) -> task<int> {
}  // namespace weir
"""

    def test_a_single_wait_of_io_or_flow_needs_a_row_too(self):
        calls = ["line::stand", "taker::take", "taker::put", "taker::read", "ask_all"]
        for module in ("io", "flow"):
            path = f"src/weir/{module}/taker.hpp"
            self.write(path, self.TAKER)
            rows = lambda names: self.check("\n".join([self.NOUN] + [f"| `{name}()` ([t](../../{path})) | nothing | `noun.does` |" for name in names]))
            self.assertEqual(rows(calls), [])
            for name in calls:
                self.assert_one(rows([one for one in calls if one != name]), f"what a cancellation leaves of {name}()")
            (self.root / path).unlink()

    def test_a_row_describes_calls_of_the_header_that_it_or_the_last_one_links_to(self):
        noun, asker = "([n](../../src/weir/io/noun.hpp)) | nothing | `noun.does` |", "([a](../../src/weir/http/asker.hpp)) | nothing | `noun.does` |"
        self.assertEqual(self.check_calls([f"| `ask()`, `wait_long()`, `ask_all()` {asker}"]), [])
        self.assertEqual(len(self.check_calls([f"| `ask()` {asker}", f"| `wait_long()`, `ask_all()` {noun}"])), 2)


class NeedsKernel(TidyTest):
    def test_a_test_of_a_real_driver_without_its_tag_is_found(self):
        for header in ("make_driver", "run_program", "contract_test", "epoll_driver"):
            self.write("src/weir/io/a_test.cpp", f"#include <weir/io/{header}.hpp>\n")
            self.assert_one(self.found(tidy_rules.rule_needs_kernel), "say `// Needs the kernel: why.`")
            self.write("src/weir/io/a_test.cpp", f"// Needs the kernel: signals.\n#include <weir/io/{header}.hpp>\n")
            self.assertEqual(self.found(tidy_rules.rule_needs_kernel), [])

    def test_a_tag_without_a_need_is_found(self):
        self.write("src/weir/io/a_test.cpp", "// Needs the kernel: no more.\n#include <weir/io/socket.hpp>\n")
        self.assert_one(self.found(tidy_rules.rule_needs_kernel), "drop the tag")


class Mutants(TidyTest):
    LIST = "src/weir/drill/server_mutants.cpp"
    PLACE = "src/weir/store/a.cpp"

    def check(self, place, listed):
        self.write(self.PLACE, place)
        self.write(self.LIST, listed)
        return self.found(tidy_rules.rule_mutants)

    def test_a_defect_that_stands_once_and_is_listed_passes(self):
        listed = 'constexpr mutant all[] = {\n    {"store: a", "damage"},\n    {"store: b "\n     "c", "x: y"},\n};\n'
        place = 'if (is_planted("store: a")) x();\nif (is_planted("store: b "\n"c")) y();\n'
        self.assertEqual(self.check(place, listed), [])

    def test_a_defect_that_nobody_lists_is_found(self):
        self.assert_one(self.check('\nis_planted("store: a")', ""), f"{self.PLACE}:2 'store: a' is in no list of mutants")

    def test_a_mutant_that_nothing_asks_for_is_found(self):
        self.assert_one(self.check("", '{"store: a", "damage"}'), f"{self.LIST}:1 nothing asks for 'store: a'")

    def test_a_name_that_stands_twice_is_found(self):
        twice = 'is_planted("store: a")\nis_planted("store: a")\n'
        self.assert_one(self.check(twice, '{"store: a", "damage"}'), f"{self.PLACE}:2 'store: a' stands at {self.PLACE}:1")
        self.assert_one(self.check('is_planted("store: a")', '{"store: a", "x"},\n{"store: a", "y"}'), f"{self.LIST}:2")

    def test_the_table_has_a_row_of_each_and_no_other(self):
        table = "docs/design/simulation.md"
        named = ('is_planted("store: a")', '{"store: a", "damage"}')
        for rows, said in (("", f"{self.LIST}:1 {table} has no row of 'store: a'"),
                           ("\n| store: a | x |\n| store: b | x |\n", f"{table}:3 no mutant is called 'store: b'")):
            self.write(table, rows)
            self.assert_one(self.check(*named), said)
        self.write(table, "| mutant | what |\n| store: a | damage |\n")
        self.assertEqual(self.check(*named), [])

    def test_tests_may_plant_what_they_like(self):
        self.write("src/weir/store/a_test.cpp", 'is_planted("store: a")')
        self.assertEqual(self.found(tidy_rules.rule_mutants), [])


class Probes(TidyTest):
    LIST = "src/weir/drill/campaign.cpp"
    PLACE = "src/weir/store/a.cpp"

    def check(self, place):
        self.write(self.LIST, 'constexpr const char* expected_probes[] = {\n    "it is full",\n    "it is empty",\n};\n')
        self.write(self.PLACE, place)
        return self.found(tidy_rules.rule_probes)

    def test_what_is_said_and_expected_passes(self):
        self.assertEqual(self.check('sometimes(size() == 0, "it is empty");\nif (sometimes(a && !b,\n  "it is full")) x();\n'), [])

    def test_what_nobody_expects_or_says_is_found(self):
        both = 'sometimes(true, "it is full");\nsometimes(true, "it is empty");\n'
        self.assert_one(self.check(both + 'sometimes(true, "it is odd");\n'), f"{self.PLACE}:3 no campaign expects 'it is odd'")
        self.assert_one(self.check('sometimes(true, "it is full");'), f"{self.LIST}:1 nothing says 'it is empty'")


class Shown(TidyTest):
    HEADER = "src/weir/io/noun.hpp"

    def check(self, header, example, name="examples/tour.cpp"):
        self.write(self.HEADER, "namespace weir {\n" + header + "\n}\n")
        self.write(name, example)
        return self.found(tidy_rules.rule_shown)

    def setUp(self):
        super().setUp()
        self.write("examples/tour.out", "x\n")

    def test_what_an_example_uses_passes(self):
        header = "template <class T>\nclass basic_noun final : public base<T> {\n  int f();\n};\n[[nodiscard]] task<noun> make(int a = 1) noexcept;"
        self.assertEqual(self.check(header, "auto n = make(); noun other;"), [])

    def test_a_class_and_a_function_that_no_example_uses_are_found(self):
        self.assert_one(self.check("class noun {\n};", "#include <weir/io/noun.hpp>\n// noun\nint a;"), f"{self.HEADER}:2 no example that runs shows noun")
        self.assert_one(self.check("int a;\ntemplate <class F>\nauto\nmake(F f) {\n  return f(1);\n}", "int a;"), "shows make")

    def test_a_name_of_two_namespaces_is_shown_of_each(self):
        header = "class noun {};\nint make();\nnamespace cross {\nclass noun {};\nint make();\n}"
        self.assertEqual(self.check(header, "weir::noun n(make());\nweir::cross::noun other(weir::cross::make());"), [])
        self.assert_one(self.check(header, "using namespace weir;\nnoun n(make(cross::make()));"), f"{self.HEADER}:5 no example that runs shows cross::noun")
        self.assert_one(self.check(header, "weir::noun n(make());\ncross::noun other(make());"), f"{self.HEADER}:6 no example that runs shows cross::make")
        self.assert_one(self.check(header, "weir::cross::noun n(weir::make(cross::make()));"), f"{self.HEADER}:2 no example that runs shows noun")

    def test_a_name_of_a_class_that_others_share_is_asked_for_where_it_stands(self):
        header = "template <class T, class R>\nclass basic_noun {};\ntemplate <class T>\nusing noun = basic_noun<T, int>;\nnamespace cross {\ntemplate <class T>\nusing noun = basic_noun<T, long>;\n}"
        self.assertEqual(self.check(header, "weir::noun<int> n;\nweir::cross::noun<int> other;"), [])
        self.assert_one(self.check(header, "weir::noun<int> n;"), f"{self.HEADER}:7 no example that runs shows cross::noun")

    def test_core_needs_an_example_and_base_needs_none(self):
        self.write("src/weir/core/word.hpp", "namespace weir {\nclass word {};\n}\n")
        self.write("src/weir/base/byte.hpp", "namespace weir {\nclass byte {};\n}\n")
        self.assert_one(self.check("class noun {};", "noun n;"), "src/weir/core/word.hpp:2 no example that runs shows word")

    def test_an_example_that_does_not_run_shows_nothing(self):
        self.write("examples/tour.cpp", "")
        self.assert_one(self.check("class noun {};", "noun n;", "examples/by_hand.cpp"), "shows noun")
        self.write("examples/by_hand.cpp", "")
        self.assertEqual(self.check("class noun {};", "noun n;", "examples/noun_test.cpp"), [])

    def test_a_member_outside_of_its_class_is_no_function_of_its_own(self):
        header = "class noun {\n  int made();\n};\ninline int noun::made() {\n  return 1;\n}\n"
        self.assertEqual(self.check(header, "noun n;"), [])

    def test_details_structs_and_what_says_why_need_none(self):
        header = "namespace detail {\nclass inner {};\nint f();\n}\nstruct options {};\nusing other = int;\nbool operator==(int a, noun b);\n"
        self.assertEqual(self.check(header + "// tidy-allow(shown): of the kernel\nint g();", ""), [])


class StandardIncludes(TidyTest):
    def check(self, text, path="src/weir/base/a.cpp"):
        self.write("src/weir/base/b.hpp", "#pragma once\n#include <string>\n")
        self.write(path, text + "\n")
        return self.found(tidy_includes.rule_std_includes)

    def test_a_name_whose_header_is_not_included_is_found(self):
        self.assert_one(self.check("#include <string>\n\nstd::vector<int> a;\nstd::vector<int> b;"), "a.cpp:3 std::vector needs #include <vector>")
        self.assert_one(self.check("int a = std::max(1, 2);"), "std::max needs #include <algorithm>")

    def test_a_comparison_needs_its_header_too(self):
        defaulted = "auto operator<=>(const a&) const = default;"
        self.assert_one(self.check(defaulted), "<=> needs #include <compare>")
        self.assertEqual(self.check("#include <compare>\n" + defaulted), [])

    def test_headers_and_examples_are_asked_too(self):
        for path in ("src/weir/base/a.hpp", "examples/a.cpp"):
            self.assert_one(self.check("std::vector<int> a;", path), f"{path}:1 std::vector needs")
            (self.root / path).unlink()

    def test_a_name_that_the_table_does_not_know_is_found(self):
        self.assert_one(self.check("std::flat_map<int, int> a;"), "std::flat_map has no row")

    def test_what_is_included_passes_directly_or_through_a_header_of_weir(self):
        self.assertEqual(self.check("#include <string>\nstd::string a;"), [])
        self.assertEqual(self.check("#include <weir/base/b.hpp>\nstd::string a;\nstd::size_t b = std::size(a);"), [])

    def test_other_names_and_comments_pass(self):
        self.assertEqual(self.check("// std::vector\nother::std::vector a;\nconst char* b = \"std::vector\";"), [])

    def test_a_line_may_say_why_a_declaration_is_enough(self):
        self.assertEqual(self.check("std::string f();  // tidy-allow(std-includes): declared"), [])

    def test_tests_are_not_asked(self):
        for path in ("src/weir/base/a_test.cpp", "src/weir/base/a_fuzz.cpp"):
            self.assertEqual(self.check("std::vector<int> a;", path), [])

    def test_benchmarks_and_their_peers_are_asked(self):
        for path in ("bench/a_bench.cpp", "bench/peers/a_libuv.cpp", "src/weir/base/a_bench.cpp"):
            self.assertEqual(self.check("std::vector<int> a;", path), [f"{path}:1 std::vector needs #include <vector>"])
            (self.root / path).unlink()


class EveryRule(unittest.TestCase):
    def test_has_a_test_that_shows_it_failing(self):
        text = Path(__file__).read_text(encoding="utf-8")
        for rule in tidy_rules.RULES + tidy_names.RULES + tidy_includes.RULES + tidy_clang.RULES + (tidy_clang.rule_clang_tidy,):
            self.assertIn(f".{rule.__name__}", text)


class Clang(TidyTest):
    def test_a_header_that_needs_another_first_is_found(self):
        self.write("src/weir/base/a.hpp", "#pragma once\nstd::size_t f();\n")
        self.assert_one(self.clang(tidy_clang.rule_headers_alone), "does not compile alone")
        self.write("src/weir/base/a.hpp", "#pragma once\n#include <cstddef>\nstd::size_t f();\n")
        self.assertEqual(self.clang(tidy_clang.rule_headers_alone), [])

    def test_a_header_is_left_to_its_source_where_dev_builds_that_without_other_headers(self):
        for floor, count in (("base", 0), ("apps", 1), ("drill", 1)):
            self.write(f"src/weir/{floor}/a.hpp", "#pragma once\nstd::size_t f();\n")
            self.write(f"src/weir/{floor}/a.cpp", f"#include <weir/{floor}/a.hpp>\n")
            found = [one for one in self.clang(tidy_clang.rule_headers_alone) if f"/{floor}/" in str(one)]
            self.assertEqual(len(found), count, floor)

    def test_a_header_that_another_begins_with_is_compiled_there_and_one_that_another_goes_on_with_is_not(self):
        self.write("src/weir/base/a.hpp", "#pragma once\nstd::size_t f();\n")
        self.write("src/weir/base/b.hpp", "#pragma once\n#include <weir/base/a.hpp>\n\n#include <cstddef>\n")
        found = self.clang(tidy_clang.rule_headers_alone)
        self.assert_one(found, "src/weir/base/b.hpp:1 the header does not compile alone")
        self.assertIn("weir/base/a.hpp:2:", found[0])
        self.write("src/weir/base/b.hpp", "#pragma once\n#include <cstddef>\n#include <weir/base/a.hpp>\n")
        self.assert_one(self.clang(tidy_clang.rule_headers_alone), "src/weir/base/a.hpp:1 the header does not compile alone")

    def test_what_is_parsed_once_for_several_headers_is_there_for_none_that_does_not_include_it_before_its_text(self):
        parsed = "src/weir/core/scope.hpp"
        self.write(parsed, "#pragma once\nstruct made {};\n")
        uses = "made f();\n"
        cases = {
            "#pragma once\n#include <cstddef>\n#include <weir/core/scope.hpp>\n\n" + uses: 0,
            "#pragma once\n#include <cstddef>\n" + uses: 1,
            "#pragma once\n" + uses + "#include <weir/core/scope.hpp>\n": 1,
            "#pragma once\n#include <cstddef>\n#include <string>\nusing text = std::string;\n" + uses: 1,
        }
        for text, count in cases.items():
            self.write("src/weir/core/a.hpp", text)
            self.assertEqual(len(self.clang(tidy_clang.rule_headers_alone)), count, text)
        self.write("src/weir/core/a.hpp", next(iter(cases)))
        self.write(parsed, "#pragma once\nusing made = std::size_t;\n")
        found = self.clang(tidy_clang.rule_headers_alone)
        self.assert_one(found, f"{parsed}:1 the header does not compile alone")

    def test_a_name_that_two_headers_have_is_found(self):
        self.write("src/weir/base/a.hpp", "#pragma once\nclass window {};\n")
        self.write("src/weir/core/b.hpp", "#pragma once\nnamespace other {\nclass window {};\n}\n")
        self.assertEqual(self.clang(tidy_clang.rule_headers_together), [])
        self.write("src/weir/core/b.hpp", "#pragma once\n\nclass window { int a; };\n")
        self.assert_one(self.clang(tidy_clang.rule_headers_together), "src/weir/core/b.hpp:3 the headers do not compile together: redefinition of 'window'")

    def test_each_of_several_files_that_are_formatted_at_once_is_found_and_none_is_taken_for_clean_beside_one_that_is_not(self):
        for name, text in (("a", "int  a;\n"), ("b", "int b;\n"), ("c", "int c;\n\n\n\nint  d;\n")):
            self.write(f"src/weir/base/{name}.hpp", text)
        for _ in range(2):
            self.assertEqual(len(self.clang(tidy_clang.rule_format)), 2)
        for name in "ac":
            self.write(f"src/weir/base/{name}.hpp", "int b;\n")
        self.assertEqual(self.clang(tidy_clang.rule_format), [])


    def test_a_clean_answer_is_forgotten_when_a_header_below_changes(self):
        self.write("src/weir/base/a.hpp", "#pragma once\n#include <weir/base/b.hpp>\nusing c = b;\n")
        self.write("src/weir/base/b.hpp", "#pragma once\nstruct b {};\n")
        self.assertEqual(self.clang(tidy_clang.rule_headers_alone), [])
        self.write("src/weir/base/b.hpp", "#pragma once\n")
        self.assert_one(self.clang(tidy_clang.rule_headers_alone), "src/weir/base/a.hpp:1 the header does not compile")

    def test_a_header_over_its_budget_is_found(self):
        self.write("tools/budgets.txt", "src/weir/core.hpp 3\n")
        self.write("src/weir/core.hpp", "#pragma once\nint a;\nint b;\nint c;\nint d;\n")
        self.assert_one(self.clang(tidy_clang.rule_weight), "4 preprocessed lines, 3 are allowed")
        self.write("tools/budgets.txt", "src/weir/core.hpp 4\n")
        self.assertEqual(self.clang(tidy_clang.rule_weight), [])

    def test_a_budget_for_a_missing_file_is_found(self):
        self.write("tools/budgets.txt", "src/weir/gone.hpp 3\n")
        self.assert_one(self.clang(tidy_clang.rule_weight), "does not exist")

    def test_a_file_in_another_layout_is_found_and_formatted(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("src/weir/base/a.cpp", "int  a ;\n")
        self.assert_one(self.clang(tidy_clang.rule_format), "src/weir/base/a.cpp:1 run ./dev tidy --fix")
        tidy_clang.format_all(tidy_rules.Tree(self.root))
        self.assertEqual(self.clang(tidy_clang.rule_format), [])

    def test_clang_tidy_findings_are_reported_with_their_check(self):
        self.write(".clang-tidy", "Checks: '-*,bugprone-sizeof-expression'\n")
        source = self.root / "src/weir/base/a.cpp"
        self.write("src/weir/base/a.cpp", "int f(int a) { return sizeof(sizeof(a)); }\n")
        self.write(
            "build/tidy/compile_commands.json",
            f'[{{"directory": "{self.root}", "command": "clang++-19 -c {source}", "file": "{source}"}}]',
        )
        self.assert_one(self.clang(tidy_clang.rule_clang_tidy), "src/weir/base/a.cpp:1 suspicious usage")

    def test_clang_tidy_reads_files_that_the_preset_does_not_compile(self):
        self.write(".clang-tidy", "Checks: '-*,bugprone-sizeof-expression'\n")
        self.write("build/tidy/compile_commands.json", "[]")
        self.write("src/weir/base/a_fuzz.cpp", "int f(int a) { return sizeof(sizeof(a)); }\n")
        self.assert_one(self.clang(tidy_clang.rule_clang_tidy), "src/weir/base/a_fuzz.cpp:1 suspicious usage")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
