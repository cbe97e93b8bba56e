#include <weir/serve/reply_lines.hpp>

#include <weir/base/assert.hpp>
#include <weir/wire/url.hpp>

#include <utility>

namespace weir {

std::string host_of_url(std::string_view url) {
  const auto parsed = parse_url(url);
  if (!parsed) return std::string(url);
  return (parsed->is_tls() ? "https://" : "http://") + parsed->authority();
}

reply_lines::host* reply_lines::begin(std::string name, reply_place what) {
  const auto [at, is_new] = hosts_.try_emplace(std::move(name));
  host& to = at->second;
  to.name = &at->first;
  if (to.calls < host_calls_max && to.line.empty()) {
    ++to.calls;
    return &to;
  }
  to.line.push_back(what);
  return nullptr;
}

void reply_lines::end(host* of) noexcept {
  WEIR_ASSERT(of->calls > 0);
  --of->calls;
  if (!of->line.empty()) {
    if (!of->is_linked()) callable_.push_back(*of);
  } else if (of->calls == 0) {
    hosts_.erase(hosts_.find(*of->name));
  }
}

std::optional<reply_lines::turn> reply_lines::next() noexcept {
  if (callable_.is_empty()) return std::nullopt;
  host& to = callable_.pop_front();
  const turn one{.to = &to, .what = to.line.front()};
  to.line.pop_front();
  ++to.calls;
  if (!to.line.empty() && to.calls < host_calls_max) callable_.push_back(to);
  return one;
}

}  // namespace weir
