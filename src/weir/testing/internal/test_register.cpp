#include <weir/testing/internal/test_register.hpp>

#include <weir/testing/internal/second_look.hpp>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace weir::testing {

namespace {

bool has_replayed = false;

class replay_watch final : public ::testing::EmptyTestEventListener {
 public:
  void OnTestIterationEnd(const ::testing::UnitTest& all, int /*iteration*/) override {
    const char* wanted = std::getenv("WEIR_REPLAY");
    const bool is_wanted = wanted && *wanted && !detail::second_look_wanted();
    if (!is_wanted || std::exchange(has_replayed, false)) return;
    ADD_FAILURE() << "WEIR_REPLAY=" << wanted
                  << " was not replayed: --gtest_filter=" << ::testing::GTEST_FLAG(filter)
                  << " chose " << all.test_to_run_count() << " tests, and none that has schedules";
  }
};

}  // namespace

void detail::register_test(const std::string& suite, const std::string& name,
                           std::source_location place, std::function<::testing::Test*()> make) {
  static std::map<std::string, std::source_location> places;
  if (places.empty()) ::testing::UnitTest::GetInstance()->listeners().Append(new replay_watch);
  const auto [other, is_new] = places.emplace(suite + '.' + name, place);
  if (!is_new) {
    std::fprintf(stderr,
                 "%s:%u: there is a test %s already, at %s:%u: give this one another name\n",
                 place.file_name(), static_cast<unsigned>(place.line()), other->first.c_str(),
                 other->second.file_name(), static_cast<unsigned>(other->second.line()));
    std::exit(2);
  }
  ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, place.file_name(),
                          static_cast<int>(place.line()), std::move(make));
}

void detail::note_replay() noexcept { has_replayed = true; }

}  // namespace weir::testing
