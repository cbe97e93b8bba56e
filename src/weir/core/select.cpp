#include <weir/core/select.hpp>

#include <weir/base/defect.hpp>

namespace weir::detail {

const wait_kind& wait::branch_kind() const noexcept { return *wait_branch::of(*this).kind; }

void wait_branch::end(branch_state how) noexcept {
  WEIR_ASSERT(state == branch_state::pending);
  state = how;
  waiting->kind = kind;
  wait_group& of = *group;
  --of.pending_;
  of.hold();
  if (of.is_ending_ && is_planted("core: a select drops what a second branch has done"))
    state = branch_state::left;
  if (how == branch_state::done) {
    if (of.first_ == ~std::uint32_t{0}) of.first_ = static_cast<std::uint32_t>(this - of.branches_);
    if (!of.is_ending_) of.end_others();
  }
  of.let_go();
}

void wait_group::attach(std::uint32_t which, wait& one) noexcept {
  wait_branch& branch = branches_[which];
  branch = {.group = this, .waiting = &one, .kind = one.kind, .state = branch_state::pending};
  one.kind = reinterpret_cast<const wait_kind*>(reinterpret_cast<std::uintptr_t>(&branch) | 1);
  ++pending_;
}

// Leaving may end a branch at once, which comes back in end(): hence by index, and held.
void wait_group::end_others() noexcept {
  is_ending_ = true;  // (2)
  hold();
  for (std::uint32_t i = 0; i < count_; ++i) {
    wait_branch& one = branches_[i];
    if (i != 0 && i + 1 == count_ && is_planted("core: a select waits for its last branch")) break;
    if (one.state == branch_state::pending && one.kind->cancel) one.kind->cancel(*one.waiting);
  }
  let_go();
}

void wait_group::let_go() noexcept {
  if (--holds_ != 0 || pending_ != 0) return;
  if (first_ == ~std::uint32_t{0}) return whole_->complete_cancelled();
  whole_->complete();
}

void wait_group::describe(text_sink& out) const noexcept {
  for (std::uint32_t i = 0; i < count_; ++i) {
    const wait_branch& one = branches_[i];
    if (one.state != branch_state::pending) continue;
    if (i != 0) out.put(", ");
    out.put(one.kind->name);
    if (one.kind->describe) {
      out.put(" ");
      one.kind->describe(*one.waiting, out);
    }
  }
}

}  // namespace weir::detail
