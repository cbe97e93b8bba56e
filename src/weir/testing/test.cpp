#include <weir/testing/test.hpp>

#include <weir/testing/detail/fail_at.hpp>
#include <weir/testing/detail/test_names.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/internal/test_register.hpp>
#include <weir/testing/test_on_nodes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace weir::testing {

namespace {

template <class Body>
class explored_test final : public ::testing::Test {
 public:
  explored_test(Body body, std::source_location place) : body_(body), place_(place) {}
  void TestBody() override { run_schedules(body_, place_); }

 private:
  Body body_;
  std::source_location place_;
};

template <class Body>
bool add_explored_test(const char* sentence, Body body, std::source_location place) {
  static_cast<void>(are_escapes_caught());  // for this call the linker takes the guard
  std::string test = detail::name_of(sentence);
  if (test.empty()) test = fmt::format("line_{}", place.line());
  detail::register_test(detail::suite_of(place.file_name()), test, place,
                        [body, place] { return new explored_test<Body>(body, place); });
  return true;
}

}  // namespace

void run_virtual(task<> body, virtual_run_options options, std::source_location place) {
  detail::check_outcome(run_outcome(std::move(body), options), place);
}

void run_virtual_in(virtual_world& world, task<> body, virtual_run_options options,
                    std::source_location place) {
  detail::check_outcome(run_outcome_in(world, std::move(body), options), place);
}

virtual_world& world() {
  auto* on = loop::current();
  auto* driver = on ? dynamic_cast<virtual_driver*>(&on->io()) : nullptr;
  if (!driver) {
    std::fprintf(stderr, "testing::world(): no virtual run on this thread\n");
    std::abort();
  }
  return driver->world();
}

duration elapsed() { return world().clock().now() - virtual_clock::start; }

std::string detail::name_of(std::string_view sentence) {
  std::string name;
  for (const char c : sentence) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (is_plain) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.ends_with('_')) name.pop_back();
  return name;
}

std::string detail::suite_of(std::string_view file) {
  file.remove_prefix(std::min(file.size(), file.rfind('/') + 1));
  return name_of(file.substr(0, file.find('.')));
}

bool add_test(const char* sentence, task<> (*body)(), std::source_location place) {
  return add_explored_test(sentence, body, place);
}

bool add_test(const char* sentence, void (*body)(explored_nodes&), std::source_location place) {
  return add_explored_test(sentence, body, place);
}

void detail::note_outcome(errc wanted, const error* got, std::source_location place) {
  if (got && *got == wanted) return;
  const std::string text =
      got ? fmt::format("expected {}, but the error was {}", name(wanted), exception(*got).what())
          : fmt::format("expected {}, but there was no error", name(wanted));
  fail_at(place, text);
}

void detail::fail_at(std::source_location place, const std::string& text) {
  GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()), text.c_str(),
                    ::testing::TestPartResult::kNonFatalFailure);
}

void detail::check_outcome(const virtual_outcome& outcome, std::source_location place) {
  if (outcome.is_failed) {
    const std::string sizes = outcome.sizes.empty() ? "" : "\nthe run had " + outcome.sizes;
    fail_at(place, outcome.failure + sizes);
  }
  for (const std::string& report : outcome.reports) fail_at(place, "a task failed: " + report);
}

std::vector<std::string> texts_of(std::exception_ptr failure) {
  if (!failure) return {};
  std::vector<std::string> texts;
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      for (std::string& one : texts_of(group[i])) texts.push_back(std::move(one));
    }
  } catch (const std::exception& e) {
    texts.emplace_back(e.what());
  } catch (...) {
    texts.emplace_back("unknown exception");
  }
  return texts;
}

}  // namespace weir::testing
