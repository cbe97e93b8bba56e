// Faults by lot for explored_nodes; apart from it, since chaos needs weir::memory_watch.
#include <weir/base/assert.hpp>
#include <weir/sim/chaos.hpp>
#include <weir/sim/explored_nodes.hpp>

#include <fmt/format.h>

namespace weir {

class explored_nodes::by_lot final : public fault_source, private chaos_host {
 public:
  by_lot(explored_nodes& of, chaos_set kinds) : of_(of), lot_(of.all_, kinds, *this) {}
  time_point next_at() override { return lot_.next_at(); }
  void act() override { lot_.act(); }
  void heal() override { lot_.heal(); }

 private:
  node_program& program_of(virtual_node& node) override { return of_.program_of(node); }
  bool has_disk(const virtual_node&) override { return true; }
  memory_watch* memory_of(const virtual_node&) override { return nullptr; }
  void struck(chaos_kind, virtual_node* on, const std::string& how) override {
    if (schedule_trace* const trace = of_.in_.trace)
      trace->tell(fmt::format("{}: {}", on ? on->name() : "network", how));
  }

  explored_nodes& of_;
  chaos lot_;
};

void explored_nodes::allow(chaos_set faults) {
  WEIR_ASSERT(!faults_ && "faults are allowed once in a run");
  faults_ = std::make_unique<by_lot>(*this, faults);
}

}  // namespace weir
