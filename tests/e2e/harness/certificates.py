"""An authority, and those whom it certifies, by the distribution's openssl."""

import subprocess
from pathlib import Path

from . import tools

_DAYS = 1


class Authority:
    """Makes directories as --tls wants them."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self._key = self._folder / "key"
        self.certificate = self._folder / "ca.crt"
        _openssl("req", "-x509", *_new_key(self._key), "-out",
                 self.certificate, "-days", _DAYS, "-subj", f"/CN={name}")

    def issue(self, name: str, *alternatives: str,
              days: int = _DAYS) -> Path:
        """A directory with the certificate of `name`, which a server or a
        client shows; `alternatives` as in IP:10.0.0.1. Files that are there
        are replaced by a rename, as renewals are."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        key, request, certificate = (folder / f"new.{what}"
                                     for what in ("key", "csr", "crt"))
        _openssl("req", *_new_key(key), "-out", request, "-subj",
                 f"/CN={name}")
        extensions = folder / "new.ext"
        extensions.write_text("subjectAltName=" + ",".join(
            alternatives or ("DNS:localhost",)))
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate,
                 "-CAkey", self._key, "-CAcreateserial", "-days", days,
                 "-extfile", extensions, "-out", certificate)
        # A daemon that is nobody reads it, too.
        key.chmod(0o644)
        certificate.rename(folder / "tls.crt")
        key.rename(folder / "tls.key")
        (folder / "new.ca").write_bytes(self.certificate.read_bytes())
        (folder / "new.ca").rename(folder / "ca.crt")
        return folder


def _new_key(path: Path) -> list[str | Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path]


def _openssl(*arguments: object) -> None:
    subprocess.run([tools.system("openssl"), *map(str, arguments)], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
