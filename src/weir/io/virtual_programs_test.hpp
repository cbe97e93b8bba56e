// For tests only: programs of a virtual machine that do what those of the same names do on a
// kernel, as far as the tests of child processes look. So a body can be run on either.
#pragma once

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/process.hpp>
#include <weir/io/signals.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/sim/virtual_processes.hpp>

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::contract {

/// The next line of a program's input, without its end; false: there is none.
inline task<bool> read_line(virtual_process* self, std::string* rest, std::string* line) {
  while (rest->find('\n') == rest->npos) {
    const bytes piece = co_await self->input().receive();
    if (!piece) co_return false;
    *rest += piece.text();
  }
  const std::size_t end = rest->find('\n');
  *line = rest->substr(0, end);
  rest->erase(0, end + 1);
  co_return true;
}

inline task<int> virtual_cat(virtual_process& self) {
  while (const bytes piece = co_await self.input().receive())
    co_await self.output().send(piece.text());
  co_return 0;
}

/// A shell that knows the few words of the tests' scripts.
class virtual_shell {
 public:
  explicit virtual_shell(virtual_process& self) noexcept : self_(self) {}

  task<> run(std::string script) {
    if (const auto at = script.find(loop_text); at != script.npos)
      script.replace(at, loop_text.size(), "read-for-ever");
    co_await with_scope([&](scope& jobs) -> task<> {
      std::size_t from = 0;
      while (from < script.size()) {
        std::size_t to = from;
        while (to < script.size() && !ends_command(script, to)) ++to;
        const bool is_job = to < script.size() && script[to] == '&';
        const std::string command = trimmed(script.substr(from, to - from));
        from = to + 1;
        if (is_job) {
          jobs.spawn(run_job, words_of(command));
        } else if (!command.empty()) {
          co_await execute(command, jobs);
        }
      }
      co_await self_.exit(0);
    });
  }

 private:
  static constexpr std::string_view loop_text = "while :; do read line || :; done";

  static bool ends_command(const std::string& script, std::size_t at) {
    return script[at] == ';' || (script[at] == '&' && (at == 0 || script[at - 1] != '>'));
  }
  static std::string trimmed(const std::string& text) {
    const std::size_t first = text.find_first_not_of(' ');
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
  }
  static std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t from = 0; from < text.size();) {
      const std::size_t to = std::min(text.find(' ', from), text.size());
      if (to != from) words.push_back(text.substr(from, to - from));
      from = to + 1;
    }
    return words;
  }
  static int signal_of(const std::string& name) {
    if (name == "TERM") return SIGTERM;
    if (name == "INT") return SIGINT;
    if (name == "HUP") return SIGHUP;
    if (name == "-PIPE") return SIGPIPE;
    if (name == "-STOP") return SIGSTOP;
    return SIGKILL;
  }
  static task<> run_job(std::vector<std::string> words) {
    const std::string program = words.front();
    words.erase(words.begin());
    co_await with_process(command(program, words),
                          [](process& child) -> task<> { co_await child.wait(); });
  }
  static task<> exit_at(virtual_process* self, int number, int code) {
    co_await wait_signal(number);
    co_await self->exit(code);
  }

  // $NAME and ${NAME-otherwise}.
  std::string expanded(const std::string& text) const {
    std::string all;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '$') {
        all += text[at];
        continue;
      }
      const bool has_braces = text[at + 1] == '{';
      const std::size_t from = at + (has_braces ? 2 : 1);
      std::size_t to = from;
      while (to < text.size() && (std::isalnum(text[to]) != 0 || text[to] == '_')) ++to;
      const char* const value = self_.variable(text.substr(from, to - from));
      const std::size_t end = has_braces ? text.find('}', to) : to - 1;
      if (value) {
        all += value;
      } else if (has_braces) {
        all += text.substr(to + 1, end - to - 1);
      }
      at = end;
    }
    return all;
  }

  task<> execute(std::string command, scope& jobs) {
    const std::vector<std::string> words = words_of(command);
    const std::string& word = words.front();
    if (word == "echo") {
      const bool is_error = command.ends_with(" >&2");
      const std::string text =
          expanded(command.substr(5, command.size() - 5 - (is_error ? 4 : 0))) + "\n";
      co_await (is_error ? self_.errors() : self_.output()).send(text);
    } else if (word == "exit") {
      co_await self_.exit(std::atoi(words[1].c_str()));
    } else if (word == "kill") {
      co_await self_.raise(signal_of(words[1]));
    } else if (word == "cat") {
      co_await virtual_cat(self_);
    } else if (word == "read") {
      co_await read_line(&self_, &rest_, &line_);
    } else if (word == "read-for-ever") {
      while (co_await read_line(&self_, &rest_, &line_)) {
      }
      co_await sleep_until(time_point::never());
    } else if (word == "wait") {
      co_await sleep_until(time_point::never());
    } else if (word == "trap" && words[1] == "''") {
      for (std::size_t i = 2; i < words.size(); ++i) self_.ignore(signal_of(words[i]));
    } else if (word == "trap") {  // trap 'exit 42' TERM
      const int number = signal_of(words.back());
      self_.hear(number);
      jobs.spawn(exit_at, &self_, number, std::atoi(words[2].c_str()));
    } else if (word.find('/') != word.npos) {
      co_await run_job(words);
    }
  }

  virtual_process& self_;
  std::string rest_;
  std::string line_;
};

/// sh, cat, sort, printf, pwd, true, yes, sleep and env.
inline void install_programs(virtual_world& world) {
  virtual_processes& all = world.processes();
  all.install("/bin/sh", [](virtual_process& self) -> task<int> {
    co_await virtual_shell(self).run(self.arguments().at(2));
    co_return 0;
  });
  all.install("/bin/cat", virtual_cat);
  all.install("/usr/bin/sort", [](virtual_process& self) -> task<int> {
    std::string rest;
    std::string line;
    std::vector<std::string> lines;
    while (co_await read_line(&self, &rest, &line)) lines.push_back(line);
    std::ranges::sort(lines);
    for (const std::string& one : lines) co_await self.output().send(one + "\n");
    co_return 0;
  });
  all.install("/usr/bin/printf", [](virtual_process& self) -> task<int> {
    const std::string& format = self.arguments().at(1);
    for (std::size_t i = 2; i < self.arguments().size(); ++i) {
      std::string text = format;
      text.replace(text.find("%s"), 2, self.arguments()[i]);
      co_await self.output().send(text);
    }
    co_return 0;
  });
  all.install("/bin/pwd", [](virtual_process& self) -> task<int> {
    const std::string text = self.folder() + "\n";
    co_await self.output().send(text);
    co_return 0;
  });
  all.install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
  all.install("/usr/bin/yes", [](virtual_process& self) -> task<int> {
    std::string many;
    for (int i = 0; i < 4096; ++i) many += "y\n";
    for (;;) co_await self.output().send(many);
  });
  all.install("/bin/sleep", [](virtual_process& self) -> task<int> {
    co_await sleep(duration::seconds(std::atoi(self.arguments().at(1).c_str())));
    co_return 0;
  });
  all.install("/usr/bin/env", [](virtual_process& self) -> task<int> {
    for (const std::string& one : self.environment()) co_await self.output().send(one + "\n");
    co_return 0;
  });
}

/// In a body for both arms: installs them when the world around it is a virtual one.
inline virtual_world* install_programs_here() {
  auto* const io = dynamic_cast<virtual_driver*>(&loop::current()->io());
  if (!io) return nullptr;
  install_programs(io->world());
  return &io->world();
}

}  // namespace weir::contract
