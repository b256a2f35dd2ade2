"""`--tls`, `--policy` and `--insecure`: who gets pages, who does not, and what
each is told."""

import json

from harness import tools
from harness.certificates import Authority
from harness.namespaces import Failed
from harness.setting import Result, Setting
from harness.ways import stop

_NAME = "guarded"


class Guarded:
    """A page server over TLS with a policy, and those who ask it."""

    def __init__(self, s: Setting) -> None:
        self.s = s
        number = len(list(s.folder.iterdir()))
        self.authority = Authority(s.folder, f"authority-{number}")
        self.server_tls = self.authority.issue("server", "IP:127.0.0.1")
        self.client_tls = self.authority.issue("restorer")
        self.policy = s.folder / f"policy-{number}"
        self.allow("allow CN:restorer guarded")
        url, self.server = s.start_server(
            _NAME, s.images, "--tls", str(self.server_tls), "--policy",
            str(self.policy))
        self.url = url.replace("grpc://", "grpcs://")

    def allow(self, *rules: str) -> None:
        new = self.policy.with_suffix(".new")
        new.write_text("\n".join(rules) + "\n")
        new.rename(self.policy)

    def restore(self, *options: object) -> Result:
        return self.s.restore_and_run(self.s.images, "--source", self.url,
                                      "--tls", self.client_tls, *options)

    def log(self) -> str:
        return self.server.log.read_text()


def tls_restore(s: Setting) -> str:
    """Every byte, with both ends' certificates renewed in the midst of it."""
    guarded = Guarded(s)
    guarded.restore("--prefetch", "off").expect(0)
    guarded.authority.issue("server", "IP:127.0.0.1")
    guarded.authority.issue("restorer")
    s.verify()
    s.reset()
    guarded.restore("--wait").expect(0)
    s.verify()
    s.reset()
    stop(guarded.server)
    if guarded.log().count("is read anew") != 1:
        raise Failed(f"it was not renewed once: {guarded.log()}")
    return "renewed in between"


def tls_server_dies(s: Setting) -> str:
    """The streams come back, over TLS, to another server at its address."""
    guarded = Guarded(s)
    said = guarded.restore("--prefetch", "off", "--json").expect(0)
    session = json.loads(said.splitlines()[-1])["session"]
    address = guarded.url.split("/")[2]
    stop(guarded.server)
    server = s.start_server_at(address, _NAME, s.images, "--tls",
                               str(guarded.server_tls))
    s.verify()
    status = s.session_status(session)
    s.reset()
    stop(server)
    if not status["reconnects"] or status["pages_lost"]:
        raise Failed(f"{status}")
    return f"{status['reconnects']} reconnects"


def tls_wrong_certificate(s: Setting) -> str:
    """Certified by somebody else, though it believes our server."""
    guarded = Guarded(s)
    stranger = Authority(s.folder, "strangers").issue("restorer")
    (stranger / "ca.crt").write_bytes(
        guarded.authority.certificate.read_bytes())
    refused = s.restore(s.images, "--source", guarded.url, "--tls", stranger)
    said = refused.expect(1, "127.0.0.1:", "it does not accept us")
    stop(guarded.server)
    return said.strip().splitlines()[-1]


def tls_wrong_server(s: Setting) -> str:
    """One that we do not know, and ours under another's name."""
    guarded = Guarded(s)
    stranger = Authority(s.folder, "other-strangers").issue("restorer")
    refused = s.restore(s.images, "--source", guarded.url, "--tls", stranger)
    said = refused.expect(1, "its certificate is not accepted")
    named = s.restore(s.images, "--source", guarded.url + "?name=db.example",
                      "--tls", guarded.client_tls)
    named.expect(1, "its certificate is not for db.example")
    stop(guarded.server)
    return said.strip().splitlines()[-1]


def tls_without_permission(s: Setting) -> str:
    """The right certificate, and no rule; then one, without a restart."""
    guarded = Guarded(s)
    other = guarded.authority.issue("other")
    refused = s.restore(s.images, "--source", guarded.url, "--tls", other)
    said = refused.expect(1, 'CN:other may not open image "guarded" here')
    if "CN:other may not open" not in guarded.log():
        raise Failed(f"the operator does not learn of it: {guarded.log()}")
    guarded.allow("allow CN:other guard*")
    s.restore_and_run(s.images, "--source", guarded.url, "--tls", other,
                      "--wait").expect(0)
    s.verify()
    s.reset()
    guarded.allow("allow CN:nobody")
    still = s.run(tools.pagelift("pagelift"), "verify", guarded.url, "--tls",
                  other)
    still.expect(0)
    if "line 1: expected allow IDENTITY IMAGE..." not in guarded.log():
        raise Failed(f"a bad rule is not told: {guarded.log()}")
    stop(guarded.server)
    return said.strip().splitlines()[-1]


def plain_text_is_spelled_out(s: Setting) -> str:
    """Where others can connect, on either end."""
    server = tools.pagelift("pagelift-server")
    refused = s.run(server, "--listen", "0.0.0.0:0", "--root", s.folder)
    said = refused.expect(2, "0.0.0.0:0", "--tls DIR", "--insecure")
    s.run(server, "--listen", "0.0.0.0:0", "--root", s.folder, "--tls", "x",
          "--insecure").expect(2, "exclude each other")
    s.run(server, "--listen", "127.0.0.1:0", "--root", s.folder, "--tls",
          s.folder).expect(1, "tls.crt")
    far = "grpc://198.51.100.1:7077/x"
    s.restore(s.images, "--source", far).expect(
        1, "198.51.100.1:7077 is on another host", "grpcs://", "--insecure")
    s.run(tools.pagelift("pagelift"), "verify", far).expect(1, "--insecure")
    guarded = Guarded(s)
    plain = s.restore(s.images, "--source",
                      guarded.url.replace("grpcs://", "grpc://"))
    plain.expect(1, "does it want grpcs://?")
    if "speaks no TLS" not in guarded.log():
        raise Failed(f"the operator does not learn of it: {guarded.log()}")
    stop(guarded.server)
    return said.strip().splitlines()[0]


CASES = [tls_restore, tls_server_dies, tls_wrong_certificate, tls_wrong_server,
         tls_without_permission, plain_text_is_spelled_out]
