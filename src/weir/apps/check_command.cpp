// weir check DIR
#include <weir/apps/command.hpp>
#include <weir/apps/progress_bar.hpp>
#include <weir/apps/run_here.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/apps/terminal.hpp>
#include <weir/broker/folder_secret.hpp>
#include <weir/serve/json_writer.hpp>
#include <weir/store/journal_check.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

namespace {

/// Records that were confirmed and can't be read any more.
std::uint64_t unreadable_records(const journal_report& report) {
  std::uint64_t count = 0;
  for (const journal_damage& one : report.damages) count += one.records_lost();
  return count;
}

/// A snapshot may know what lost records did, and then the folder opens: but bodies are gone.
bool is_whole(const journal_report& report) {
  return report.is_sound() && unreadable_records(report) == 0;
}

std::string json_of(const journal_report& report) {
  json_writer out;
  out.begin_object()
      .field("folder", report.folder)
      .field("sound", is_whole(report))
      .field("opens", report.is_sound())
      .field("segments", report.segments)
      .field("segments_gone", report.segments_gone)
      .field("records", report.records)
      .field("record_bytes", report.record_bytes)
      .field("snapshots", report.snapshots)
      .field("snapshot_lsn", report.snapshot_lsn)
      .field("lsn_last", report.lsn_last)
      .field("torn_bytes", report.torn_bytes)
      .field("records_lost", unreadable_records(report))
      .begin_array("damages");
  for (const journal_damage& one : report.damages) {
    out.begin_object()
        .field("file", one.file)
        .field("offset", one.offset)
        .field("size", one.size)
        .field("loses_data", one.loses_data)
        .field("records_lost", one.records_lost())
        .field("text", one.text)
        .end_object();
  }
  return out.end_array().end_object().take();
}

constexpr std::string_view secret_file = "secret";

bool lacks_secret(const journal_report& report) {
  return std::ranges::find(report.damages, secret_file, &journal_damage::file) !=
         report.damages.end();
}

/// A folder that is none is a mistake of the command line.
journal_report look_through(const std::string& folder, progress_bar& bar) {
  refuse_no_folder(folder);
  try {
    journal_report report = run_here(check_journal(folder, &bar));
    std::string fault = run_here(secret_fault(folder));
    if (!fault.empty()) {
      report.damages.push_back(
          {.file = std::string(secret_file), .loses_data = true, .text = std::move(fault)});
    }
    return report;
  } catch (const exception& failed) {
    if (failed.reason() != errc::not_found) throw;
    throw command_failure{exit_code::usage, std::string(failed.reason().message())};
  }
}

/// What it means, and what can be done.
std::string verdict_of(const journal_report& report) {
  if (lacks_secret(report)) {
    return "Without its secret the ids and keys of the data in there are unknown, and `weir serve` "
           "refuses to start. Put the file back from where the data is from.";
  }
  const std::uint64_t lost = unreadable_records(report);
  if (!report.is_sound()) {
    return fmt::format(
        "Confirmed records are damaged, and `weir serve` refuses to start. What can be saved are "
        "the {} records that can be read; {} can't{}. Keep a copy of the folder; then `weir serve "
        "--data {} --accept-loss` opens it without what is lost.",
        report.records,
        lost == 0 ? "others" : fmt::format("{} other{}", lost, lost == 1 ? "" : "s"),
        lost == 0 ? ", nobody knows how many" : "", printable(report.folder));
  }
  if (lost != 0) {
    return fmt::format(
        "{} confirmed records can't be read. `weir serve` starts, since a snapshot knows what they "
        "did; messages whose bodies lie there become dead letters, the others are delivered.",
        lost);
  }
  return report.damages.empty() ? "Nothing confirmed is damaged."
                                : "Something is damaged, but nothing confirmed is lost.";
}

std::string text_of(const journal_report& report) {
  std::string out =
      fmt::format("{}: {} records ({}) in {} segment{}, {} snapshot{}, last record {}\n",
                  report.folder, report.records, format_bytes(report.record_bytes), report.segments,
                  report.segments == 1 ? "" : "s", report.snapshots,
                  report.snapshots == 1 ? "" : "s", report.lsn_last);
  if (report.torn_bytes != 0) {
    out += fmt::format(
        "The last {} end in the middle. A server that was killed leaves such, and then nothing of "
        "them was confirmed; after an orderly end the end of the file is lost. The next start "
        "drops them.\n",
        format_bytes(report.torn_bytes));
  }
  if (report.segments_gone != 0) {
    out += fmt::format(
        "{} earlier segment{} not there: given up, as nothing in {} was needed, or lost. Only a "
        "start can tell, which refuses when something is.\n",
        report.segments_gone, report.segments_gone == 1 ? " is" : "s are",
        report.segments_gone == 1 ? "it" : "them");
  }
  for (const journal_damage& one : report.damages) out += printable(describe(one)) + "\n";
  const text_style style = report.damages.empty() ? text_style::good : text_style::bad;
  out += styled(style, verdict_of(report), STDOUT_FILENO) + "\n";
  return out;
}

}  // namespace

void add_check_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand("check", "Look through a data folder for damage; changes nothing");
  struct settings {
    std::string folder;
    bool json = false;
  };
  const auto given = std::make_shared<settings>();
  command.option("folder", given->folder, "The data folder of a server that is not running")
      .required();
  command.flag("--json", given->json, "For programs: one JSON object");
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      progress_bar bar("checking", progress_unit::bytes);
      const journal_report report = look_through(given->folder, bar);
      bar.end();
      print(given->json ? json_of(report) : text_of(report));
      return is_whole(report) ? exit_code::ok : exit_code::bad_end;
    };
  });
}

}  // namespace weir
