#include <weir/testing/contract.hpp>

#include <weir/testing/detail/stream_steps.hpp>
#include <weir/testing/detail/test_names.hpp>
#include <weir/testing/internal/test_register.hpp>
#include <weir/testing/two_arms.hpp>

#include <algorithm>
#include <string>

namespace weir::testing {

namespace {

class rule_test final : public ::testing::Test {
 public:
  rule_test(const contract_rule& rule, std::source_location place) : rule_(rule), place_(place) {}
  void TestBody() override { check_rule(rule_, place_); }

 private:
  contract_rule rule_;
  std::source_location place_;
};

}  // namespace

std::string detail::pattern(std::size_t size) {
  constexpr std::size_t period = 64'256;  // 256 * 251: no multiple of any buffer's size
  std::string made;
  made.reserve(size + period);
  for (std::size_t i = 0; i < std::min(size, period); ++i) {
    made += static_cast<char>((i * 131 + i / 251) & 0xff);
  }
  while (made.size() < size) made.append(made, 0, period);
  made.resize(size);
  return made;
}

void check_rule(const contract_rule& rule, std::source_location place) {
  if (rule.body) run_schedules(rule.body, place);
  if (rule.sweep) cancel_at_every_point(rule.sweep, place);
  if (rule.of_driver) rule.of_driver(*rule.drivers);
}

bool add_contract(const char* kit, std::span<const contract_rule> rules, contract_arms arms,
                  std::source_location place) {
  for (const contract_rule& rule : rules) {
    const std::string sentence = std::string(kit) + ": " + rule.sentence;
    const bool is_kernel = arms == contract_arms::kernel;
    if (!is_kernel || rule.of_driver) {
      const std::string suite = (is_kernel ? "kernel/" : "") + detail::suite_of(place.file_name());
      detail::register_test(suite, detail::name_of(sentence), place,
                            [rule, place] { return new rule_test(rule, place); });
    }
    if (arms != contract_arms::virtual_world && rule.body) {
      add_kernel_tests(sentence.c_str(), rule.body, place);
    }
  }
  return true;
}

}  // namespace weir::testing
