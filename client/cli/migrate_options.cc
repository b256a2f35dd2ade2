#include "client/cli/migrate_options.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/unavailable_options.h"
#include "lib/base/command_line.h"
#include "lib/prefetch/prefetch_option.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

// An option that both dump and restore have.
std::function<absl::Status(const std::string&)> Both(MigrateOptions* options,
                                                     const char* criu_option) {
  return [options, criu_option](const std::string&) {
    options->dump_options.push_back(criu_option);
    options->restore_options.push_back(criu_option);
    return absl::OkStatus();
  };
}

void AddCriuOptions(MigrateOptions* options, CommandLine* line) {
  line->Add({"criu", 0, "PATH",
             "the criu to use here; default: as `pagelift restore`",
             &options->criu});
  line->Add({"tcp-established", 0, "",
             "with TCP connections that are kept; their address has to move "
             "to the destination, too",
             Both(options, "--tcp-established")});
  line->Add({"shell-job", 0, "", "a process that was started from a shell",
             Both(options, "--shell-job")});
  line->Add({"ext-unix-sk", 0, "",
             "with Unix sockets that are connected to processes that stay",
             Both(options, "--ext-unix-sk")});
  line->Add(
      {"file-locks", 0, "", "with file locks", Both(options, "--file-locks")});
  line->Add({"dump-option", 0, "OPTION",
             "passed on to criu's dump, by its long name; may be given several "
             "times",
             &options->dump_options});
  line->Add(
      {"restore-option", 0, "OPTION",
       "passed on to criu's restore at the destination, by its long name; "
       "may be given several times",
       &options->restore_options});
}

// What is wrong with them together; empty: nothing.
std::string Misfit(const MigrateOptions& options) {
  if (options.list) return "";
  if (!options.resume.empty()) {
    return options.pid != 0 || !options.to.empty()
               ? "--resume goes on with what was planned: without --pid and "
                 "--to"
               : "";
  }
  if (options.pid <= 0) return "--pid PID is needed: the root of the tree";
  if (options.to.empty()) {
    return "--to HOST[:PORT] is needed: where `pageliftd --accept-migrations` "
           "is";
  }
  if (!options.tls.empty() && options.insecure) {
    return "--tls and --insecure exclude each other";
  }
  if (options.tls.empty() && !options.insecure && !IsLocalAddress(options.to)) {
    return absl::StrCat(
        options.to,
        " is another host, and without TLS all memory goes there in plain "
        "text: give --tls DIR, or --insecure");
  }
  return UnavailableMisfit(options.when_unavailable, options.unavailable_after);
}

}  // namespace

std::optional<int> ParseMigrateOptions(int argc, const char* const argv[],
                                       MigrateOptions* options) {
  CommandLine line(
      "pagelift migrate",
      "Moves a process and all below it to another host. It stops for as long "
      "as CRIU\ntakes to dump and restore it without its memory, which follows "
      "while it runs.");
  line.Add({"pid", 'p', "PID", "the root of the tree", &options->pid});
  line.Add({"to", 0, "HOST[:PORT]",
            absl::StrCat("where `pageliftd --accept-migrations` listens "
                         "(default port: ",
                         kDefaultMigrationPort, ")"),
            &options->to});
  line.Add({"resume", 0, "ID",
            "go on with a migration whose server has been killed",
            &options->resume});
  line.Add({"list", 0, "", "the migrations from this host, and how they are",
            &options->list});
  line.Add({"dry-run", 0, "",
            "only check both hosts, and say what is in the way",
            &options->dry_run});
  line.Add({"tls", 0, "DIR",
            "over TLS: show DIR/tls.crt, with tls.key, and believe hosts "
            "certified by ca.crt",
            &options->tls});
  line.Add({"server-name", 0, "NAME",
            "the destination is certified as NAME, not as HOST",
            &options->server_name});
  line.Add({"certified-as", 0, "NAME",
            "we are certified as NAME, not as our address: the destination "
            "fetches pages from us",
            &options->certified_as});
  line.Add({"insecure", 0, "",
            "in plain text: whoever is on the way may read and change all "
            "memory",
            &options->insecure});
  line.Add({"listen", 0, "HOST:PORT",
            "where pages are served here (default: any port of the address "
            "that the destination sees)",
            &options->listen});
  line.Add({"spool", 0, "WHERE",
            "where the memory is copied once it runs there, so that the frozen "
            "process can go: memory (default), a directory on a disk, or none: "
            "the frozen process stays until all has arrived",
            &options->spool});
  line.Add({"spool-after", 0, "DURATION",
            "how long the process runs there before that is begun, and takes "
            "processors from who serves pages (default: 2s)",
            &options->spool_after});
  AddCriuOptions(options, &line);
  line.Add({"hook", 0, "PROGRAM",
            "run here as PROGRAM EVENT ID: commit, before the process is let "
            "go to the destination, which fails if this does; rollback, before "
            "it goes on here after that",
            &options->hook});
  line.Add({"prefetch", 0, "MODE",
            "how much of what nobody waits for is brought: full (default), "
            "idle, rate=N, off; see `pagelift restore --help`",
            PrefetchModeInto(&options->prefetch)});
  line.Add({"unavailable-after", 0, "DURATION",
            "as of `pagelift restore`, at the destination",
            &options->unavailable_after});
  line.Add({"when-unavailable", 0, "ACTION",
            "as of `pagelift restore`, at the destination",
            WhenUnavailableInto(&options->when_unavailable)});
  line.Add({"give-up-after", 0, "DURATION",
            "how long the destination may not answer before the process goes "
            "on here; past the commit point it is waited for (default: 30s)",
            &options->give_up_after});
  line.Add({"no-wait", 0, "",
            "return when it runs there, not when all its memory has arrived",
            &options->no_wait});
  line.Add({"json", 0, "",
            "say how far it is as JSON on stdout, a line each time that "
            "changes",
            &options->json});
  line.Add({"state", 0, "DIR",
            absl::StrCat("where what is known of migrations is kept (default: ",
                         kDefaultMigrations, ")"),
            &options->state});
  line.Examples(
      "Exit codes: 0 it runs there, or with --dry-run could; 1 it runs here, "
      "and why; 2 wrong\nusage; 3 past the commit point, and not over: "
      "`pagelift migrate --resume ID`.\n\n"
      "Examples:\n"
      "  pagelift migrate --pid 4711 --to 10.0.0.3 --tls /etc/pagelift/tls\n"
      "  pagelift migrate --pid 4711 --to 10.0.0.3 --insecure --dry-run\n"
      "  pagelift migrate --pid $(pidof redis-server) --to 10.0.0.3:7078 "
      "--insecure --tcp-established\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return exit_code;
  }
  const size_t colon = options->to.rfind(':');
  const bool has_port = colon != std::string::npos &&
                        options->to.find(']', colon) == std::string::npos;
  if (!options->to.empty() && !has_port) {
    absl::StrAppend(&options->to, ":", kDefaultMigrationPort);
  }
  if (const std::string misfit = Misfit(*options); !misfit.empty()) {
    return line.Complain(misfit);
  }
  if (!options->tls.empty()) options->tls = Absolute(options->tls);
  if (!options->hook.empty()) options->hook = Absolute(options->hook);
  options->state = Absolute(options->state);
  if (options->spool != "memory" && options->spool != "none") {
    options->spool = Absolute(options->spool);
  }
  return std::nullopt;
}

}  // namespace pagelift
