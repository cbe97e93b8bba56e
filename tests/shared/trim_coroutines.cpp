// A plugin of clang for the tests, which are compiled without optimisation. clang leaves the whole
// body of a coroutine in each of the four functions that it makes of it then (the call, resume,
// destroy, cleanup), since nothing looks at branches whose outcome is known, and most of what a
// test's source comes to is such code. These passes of LLVM take away what can't be reached. What
// that saves: docs/design/ARCHITECTURE.md, Tests are compiled in units.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Passes/PassPlugin.h>
#include <llvm/Transforms/Scalar/JumpThreading.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <utility>

namespace {

/// What stands in a function that does nothing: its argument is put into a variable and read from
/// there, and perhaps a sanitizer asks whether it is null.
bool does_nothing(const llvm::Instruction& step) {
  if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&step))
    return llvm::isa<llvm::Argument>(store->getValueOperand()) &&
           llvm::isa<llvm::AllocaInst>(store->getPointerOperand());
  if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(&step))
    return !load->isVolatile() && llvm::isa<llvm::AllocaInst>(load->getPointerOperand());
  if (const auto* call = llvm::dyn_cast<llvm::CallInst>(&step)) {
    const llvm::Function* called = call->getCalledFunction();
    return called && (called->getName().starts_with("__ubsan_handle_") ||
                      llvm::isa<llvm::DbgInfoIntrinsic>(call));
  }
  return llvm::isa<llvm::AllocaInst, llvm::BranchInst, llvm::CmpInst, llvm::BinaryOperator,
                   llvm::PtrToIntInst, llvm::UnreachableInst>(step);
}

/// A function that says true or false and does nothing else, as the await_ready() of most awaiters.
bool is_constant(const llvm::Function& one) {
  if (one.isDeclaration() || one.isInterposable()) return false;
  const llvm::Value* said = nullptr;
  for (const llvm::BasicBlock& block : one) {
    for (const llvm::Instruction& step : block) {
      if (const auto* end = llvm::dyn_cast<llvm::ReturnInst>(&step)) {
        if (said) return false;
        said = end->getReturnValue();
      } else if (!does_nothing(step)) {
        return false;
      }
    }
  }
  return llvm::isa_and_nonnull<llvm::ConstantInt>(said);
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
