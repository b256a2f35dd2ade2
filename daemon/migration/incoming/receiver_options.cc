#include "daemon/migration/incoming/receiver_options.h"

#include "absl/strings/str_cat.h"

namespace pagelift {

void AddReceiverOptions(ReceiverOptions* options, CommandLine* line) {
  line->Add({"accept-migrations", 0, "HOST:PORT",
             "let `pagelift migrate` on other hosts move processes to this "
             "one; whoever may do that is root here",
             &options->listen});
  line->Add({"migration-tls", 0, "DIR",
             "over TLS, with DIR/tls.crt, tls.key, and ca.crt by which the "
             "other host has to be certified; pages come over TLS, too",
             &options->tls});
  line->Add({"migration-insecure", 0, "",
             "take them in plain text: whoever can connect, local users "
             "included, may start processes here as root",
             &options->insecure});
  line->Add({"migrations-from", 0, "NAME",
             "only from hosts certified for that name (DNS:..., IP:..., "
             "CN:...); may be given several times",
             &options->allowed});
  line->Add({"migration-state", 0, "DIR",
             absl::StrCat("where what is known of them is kept (default: ",
                          kDefaultIncoming, ")"),
             &options->state});
  line->Add({"migration-criu", 0, "FILE",
             "the criu to restore them with (default: as `pagelift restore`)",
             &options->criu});
  line->Add({"migration-hook", 0, "PROGRAM",
             "run as PROGRAM EVENT ID: restore, before a process is restored; "
             "resume, before it runs; cleanup, when that is taken back",
             &options->hook});
  line->Add(
      {"receiver-ready-fd", 0, "N",
       "only for pageliftd itself: whom it starts for migrations writes a "
       "newline to this descriptor when it serves",
       &options->ready_fd});
}

absl::Status CheckReceiverOptions(const ReceiverOptions& options) {
  if (options.listen.empty()) {
    if (options.tls.empty() && !options.insecure && options.allowed.empty()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        "options of migrations are of no use without --accept-migrations");
  }
  if (!options.tls.empty() && options.insecure) {
    return absl::InvalidArgumentError(
        "--migration-tls and --migration-insecure exclude each other");
  }
  // On loopback, too: every user of this host can connect there.
  if (options.tls.empty() && !options.insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "without TLS, whoever can connect to ", options.listen,
        " may start processes here as root: give --migration-tls DIR, or "
        "--migration-insecure"));
  }
  if (options.tls.empty() && !options.allowed.empty()) {
    return absl::InvalidArgumentError(
        "--migrations-from needs --migration-tls: nobody else has a name");
  }
  return absl::OkStatus();
}

}  // namespace pagelift
