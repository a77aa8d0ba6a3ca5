"""An LDAP server of this machine's slapd, with people that tests look for, and servers that do not behave."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from grt_batch.core.config import Config

PROGRAM = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SCHEMAS = Path("/etc/ldap/schema")
BASE = "dc=example,dc=org"
ADMIN = f"cn=admin,{BASE}"
PASSWORD = "s€cret"
LONG = 300
"""Seconds that a server which answers may take on a busy machine."""

_MESSAGE = 1 << 16
CERTIFICATE = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")

CONFIGURATION = """
{schemas}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{base}"
directory {folder}/data
rootdn "{admin}"
rootpw "{password}"
access to attrs=userPassword by * none
access to * by users read by anonymous read
"""

PEOPLE: dict[str, dict[str, list[str | bytes]]] = {
    "jane.doe": {"cn": ["Jane Doe"], "mail": ["jane@example.org"]},
    "møller": {"cn": ["Jørgen Møller"], "mail": ["joergen@example.org"]},
    "several.values": {"cn": ["Zoë Alias", "Aaron Alias"], "mail": ["z@example.org", "a@example.org"]},
    "no.mail": {"cn": ["Nobody's  Mail"]},
    "bytes": {"cn": ["Of Bytes"], "mail": ["bytes@example.org"], "jpegPhoto": [b"\xff\xd8\xff\xfe\x00\xc3"]},
    "a*b": {"cn": ["A Star"]},
    "(b)\\28": {"cn": ["B Brackets"]},
    "equal=>~<:=x": {"cn": ["Equal Sign"]},
    " blanks ": {"cn": ["Blanks Around"]},
    "twin": {"cn": ["First Twin"]},
    "Twin": {"cn": ["Second Twin"]},
}
"""What stands in the server, by uid. To LDAP the last two are one name."""


@dataclass(frozen=True)
class Server:
    """A server: its folder, and the ports of ldap:// and ldaps://."""

    folder: Path
    plain: int
    encrypted: int

    @property
    def config(self) -> Config:
        """A configuration that asks it anonymously."""
        return Config(directory_url=self.url, directory_base=BASE, directory_timeout_seconds=LONG)

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.plain}"

    @property
    def authority(self) -> str:
        """The certificate of the authority of its own."""
        return str(self.folder / "server.pem")

    @contextmanager
    def person(self, uid: str, **attributes: str) -> Iterator[None]:
        """Somebody who is there for the time of the context."""
        self.change(uid, "add", objectClass="inetOrgPerson", uid=uid, sn=uid, **attributes)
        try:
            yield
        finally:
            self.change(uid, "delete")

    def change(self, who: str, what: str, **lines: str) -> None:
        """Change the entry of such a person, by the lines of LDIF."""
        text = f"dn: employeeNumber={who},{BASE}\nchangetype: {what}\n"
        text += "".join(f"{name}: {value}\n" for name, value in lines.items())
        arguments = ("-x", "-H", self.url, "-D", ADMIN, "-w", PASSWORD)
        subprocess.run(["ldapmodify", *arguments], input=text.encode(), check=True, capture_output=True)


def bound(config: Config, folder: Path, password: str = PASSWORD) -> Config:
    """A configuration that asks as the administrator."""
    file = folder / "password"
    file.write_text(f"{password}\n", encoding="utf-8")
    file.chmod(0o600)
    return replace(config, directory_bind=ADMIN, directory_password_file=str(file))


@contextmanager
def ldap_server(folder: Path) -> Iterator[Server]:
    """A server with PEOPLE and a referral, for the time of the context."""
    if PROGRAM is None or not SCHEMAS.is_dir() or not all(map(shutil.which, ("ldapmodify", "openssl"))):
        pytest.skip("slapd, ldap-utils or openssl is not installed")
    (folder / "data").mkdir()
    certify(folder / "server", "localhost")
    schemas = "\n".join(f"include {SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson"))
    text = CONFIGURATION.format(schemas=schemas, folder=folder, base=BASE, admin=ADMIN, password=PASSWORD)
    (folder / "slapd.conf").write_text(text, encoding="utf-8")
    options = ["-f", str(folder / "slapd.conf")]
    subprocess.run([PROGRAM, "-T", "add", *options], input=_content().encode(), check=True, capture_output=True)
    plain, encrypted = _free_ports()
    urls = f"ldap://localhost:{plain}/ ldaps://localhost:{encrypted}/"
    # Without a level it would leave for the background; it says "slapd starting" when it listens.
    with subprocess.Popen([PROGRAM, *options, "-h", urls, "-d", "0x100"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, b"")
        assert any(b"slapd starting" in line for line in said)
        # A full pipe would stop it.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield Server(folder, plain, encrypted)
        finally:
            process.kill()


@contextmanager
def breaking(server: Server, requests: int) -> Iterator[str]:
    """The URL of a connection to a server that is closed once so many requests were answered."""

    def carry(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client, socket.create_connection(("localhost", server.plain)) as onward:
            back = threading.Thread(target=_copy, args=(onward, client))
            back.start()
            for _ in range(requests):
                onward.sendall(client.recv(_MESSAGE))
            # A client waits for an answer before it sends more.
            client.recv(_MESSAGE)
            onward.shutdown(socket.SHUT_RDWR)
            back.join()

    with socket.create_server(("localhost", 0)) as listening:
        thread = threading.Thread(target=carry, args=(listening,))
        thread.start()
        yield f"ldap://localhost:{listening.getsockname()[1]}"
        thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    while some := source.recv(_MESSAGE):
        target.sendall(some)


def certify(path: Path, name: str) -> None:
    """Write a certificate for a host that is its own authority, NAME.pem, and its key, NAME.key."""
    files = ("-out", f"{path}.pem", "-keyout", f"{path}.key", "-subj", f"/CN={name}")
    names = ("-addext", f"subjectAltName=DNS:{name}")
    subprocess.run(["openssl", *CERTIFICATE, *files, *names], check=True, capture_output=True)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("localhost", 0)) as one, socket.create_server(("localhost", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _content() -> str:
    entries = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n",
        f"dn: ou=away,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: away\n"
        "ref: ldap://127.0.0.1:9/ou=away\n",
    ]
    for number, (uid, attributes) in enumerate(PEOPLE.items()):
        lines = [f"dn: employeeNumber={number},{BASE}", "objectClass: inetOrgPerson", f"employeeNumber: {number}"]
        lines += [_line("uid", uid), "sn: x"]
        lines += [_line(name, value) for name, values in attributes.items() for value in values]
        entries.append("\n".join(lines) + "\n")
    return "\n".join(entries)


def _line(name: str, value: str | bytes) -> str:
    raw = value if isinstance(value, bytes) else value.encode()
    return f"{name}:: {base64.b64encode(raw).decode()}"
