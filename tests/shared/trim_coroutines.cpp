// A plugin of clang for the tests, which are compiled without optimisation. clang leaves the whole
// body of a coroutine in each of the four functions that it makes of it then (the call, resume,
// destroy, cleanup), since nothing looks at branches whose outcome is known, and most of what a
// test's source comes to is such code. These passes of LLVM take away what can't be reached. What
// that saves: docs/design/ARCHITECTURE.md, Tests are compiled in units.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Passes/PassPlugin.h>
#include <llvm/Transforms/Scalar/JumpThreading.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <utility>

namespace {

/// A function that only says true or false, as the await_ready() of most awaiters does.
bool is_constant(const llvm::Function& one) {
  if (one.size() != 1) return false;  // a declaration has no blocks
  const auto* end = llvm::dyn_cast<llvm::ReturnInst>(one.front().getTerminator());
  return end && llvm::isa_and_nonnull<llvm::ConstantInt>(end->getReturnValue());
}

/// Before coroutines are taken apart: then the call knows that it suspends at once.
struct inline_constants : llvm::PassInfoMixin<inline_constants> {
  static llvm::PreservedAnalyses run(llvm::Module& all, llvm::ModuleAnalysisManager&) {
    for (llvm::Function& one : all) {
      if (!is_constant(one)) continue;
      one.removeFnAttr(llvm::Attribute::NoInline);
      one.removeFnAttr(llvm::Attribute::OptimizeNone);
      one.addFnAttr(llvm::Attribute::AlwaysInline);
    }
    return llvm::PreservedAnalyses::none();
  }
};

void begin(llvm::ModulePassManager& all, llvm::OptimizationLevel level) {
  if (level == llvm::OptimizationLevel::O0) all.addPass(inline_constants());
}

/// When they are apart.
void end(llvm::ModulePassManager& all, llvm::OptimizationLevel level) {
  if (level != llvm::OptimizationLevel::O0) return;
  llvm::FunctionPassManager each;
  each.addPass(llvm::SimplifyCFGPass());
  each.addPass(llvm::JumpThreadingPass());
  each.addPass(llvm::SimplifyCFGPass());
  all.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
}

}  // namespace

extern "C" llvm::PassPluginLibraryInfo llvmGetPassPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "trim_coroutines", "1", [](llvm::PassBuilder& builder) {
            builder.registerPipelineStartEPCallback(begin);
            builder.registerOptimizerLastEPCallback(end);
          }};
}
